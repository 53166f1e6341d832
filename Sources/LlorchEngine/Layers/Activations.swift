// Every scratch buffer of one forward pass, sized once: after loading, nothing is allocated per token.
// SPDX-License-Identifier: Apache-2.0

/// The working memory of one model instance, for up to `chunkLength` (T) tokens a pass.
package struct Activations: ~Copyable {
    /// Tokens of a prefill chunk at most.
    package let chunkLength: Int
    var residual: Matrix  // [T, C]
    var norm: Matrix  // [T, C]
    var qkv: Matrix  // [T, 3C]
    var attentionWeights: Matrix  // [12, S]: one tile of one head
    var headOutput: Matrix  // [12, D]
    var merged: Matrix  // [T, C]
    var projected: Matrix  // [T, C]
    var hidden: Matrix  // [T, F]
    var quantized: QuantizedRows  // [T, max(C, F)]
    /// Logits of the rows that were asked for last: up to `logitRows`, or T.
    package var logits: Matrix  // [R or T, V]
    /// Rows of a pass whose logits may be asked for at once, where not those of all rows may be.
    ///
    /// As many as a register tile of the kernels is filled by, which is some milliseconds of work.
    package static let logitRows = 12

    /// The sizes that the buffers follow from.
    package struct Sizes: Sendable, Hashable {
        package var contextLength: Int
        package var hiddenSize: Int
        package var headSize: Int
        package var feedForwardSize: Int
        package var vocabularySize: Int
        package var precision: Precision
    }

    /// - Parameters:
    ///   - sizes: the sizes of the model.
    ///   - chunkLength: at least 1.
    ///   - allLogits: whether passes may ask for the logits of all rows, which takes T·V floats.
    ///   - kernels: the instruction-set level, which knows how rows are quantized.
    /// - Throws: where memory is too short for the buffers.
    package init(
        sizes: Sizes, chunkLength: Int, allLogits: Bool = false, kernels: Kernels
    ) throws(MemoryShortage) {
        precondition(chunkLength > 0, "a chunk of \(chunkLength) tokens")
        let width = sizes.hiddenSize
        let tile = Attention.tileRows
        let logitRows = allLogits ? chunkLength : min(Self.logitRows, chunkLength)
        let shapes =
            [(chunkLength, 3 * width), (chunkLength, sizes.feedForwardSize)]
            + [(tile, sizes.contextLength), (tile, sizes.headSize)]
            + [(logitRows, sizes.vocabularySize)]
            + Array(repeating: (chunkLength, width), count: 4)
        let blockColumns = max(width, sizes.feedForwardSize)
        let blockBytes = QuantizedRows.byteCount(
            rows: chunkLength, columns: blockColumns, precision: sizes.precision, kernels: kernels)
        let arena = try PageArena(
            sizes: shapes.map { Matrix.byteCount(rows: $0, columns: $1) } + [blockBytes])
        self.chunkLength = chunkLength
        residual = Matrix(rows: chunkLength, columns: width, arena: arena)
        norm = Matrix(rows: chunkLength, columns: width, arena: arena)
        qkv = Matrix(rows: chunkLength, columns: 3 * width, arena: arena)
        attentionWeights = Matrix(rows: tile, columns: sizes.contextLength, arena: arena)
        headOutput = Matrix(rows: tile, columns: sizes.headSize, arena: arena)
        merged = Matrix(rows: chunkLength, columns: width, arena: arena)
        projected = Matrix(rows: chunkLength, columns: width, arena: arena)
        hidden = Matrix(rows: chunkLength, columns: sizes.feedForwardSize, arena: arena)
        logits = Matrix(rows: logitRows, columns: sizes.vocabularySize, arena: arena)
        quantized = QuantizedRows(
            rows: chunkLength, columns: blockColumns, precision: sizes.precision,
            kernels: kernels, arena: arena)
    }

    /// Bytes held.
    package var byteCount: Int {
        residual.byteCount + norm.byteCount + qkv.byteCount + attentionWeights.byteCount
            + headOutput.byteCount + merged.byteCount + projected.byteCount + hidden.byteCount
            + quantized.byteCount + logits.byteCount
    }
}
