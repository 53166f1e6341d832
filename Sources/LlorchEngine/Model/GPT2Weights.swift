// From the tensors of a checkpoint to the model. No other file of the loader knows the names of tensors, the layout of
// matrices, or that a head may be tied to the token table.
// SPDX-License-Identifier: Apache-2.0

extension GPT2 {
    /// Reads and packs every tensor, slice by slice, so that no second copy of the weights exists.
    ///
    /// - Parameters:
    ///   - source: the tensors.
    ///   - precision: how matrices are held; norms, biases and positions stay f32.
    ///   - kernels: the instruction-set level to pack for.
    ///   - progress: called with the fraction read, after each slice.
    /// - Throws: an error of the source or of `progress`, and `ModelFileError` for the first weight that is no number
    ///   or that the precision does not hold; each ends the loading.
    package init<Source: TensorSource>(
        reading source: inout Source, precision: Precision = .f32, kernels: Kernels,
        progress: (Double) throws -> Void = { _ in }
    ) throws {
        let configuration = source.configuration
        var loader = try WeightLoader(source, precision: precision, kernels: kernels)
        let width = configuration.hiddenSize

        let tokens = try loader.table("wte.weight", from: &source, progress)
        let positions = try loader.rows(
            "wpe.weight", count: configuration.contextLength, width: width, from: &source, progress)
        var blocks: [TransformerBlock] = []
        for layer in 0..<configuration.layerCount {
            blocks.append(
                try loader.block(layer, configuration, from: &source, progress))
        }
        let finalNorm = try loader.norm("ln_f", configuration, from: &source, progress)
        let output =
            configuration.tieWordEmbeddings
            ? tokens : try loader.table("lm_head.weight", from: &source, progress)

        self.configuration = configuration
        self.precision = precision
        self.kernels = kernels
        self.embedding = Embedding(tokens: tokens, positions: positions)
        self.blocks = blocks
        self.finalNorm = finalNorm
        self.head = Linear(weight: output, bias: [], kernels: kernels)
    }

    /// Weights of the model, a tied head counted once.
    package var parameterCount: Int {
        configuration.requiredTensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
    }

    /// Bytes of all weights in memory.
    package var weightByteCount: Int {
        let float = MemoryLayout<Float>.size
        let matrices = blocks.reduce(0) { sum, block in
            sum + block.attention.qkv.projection.weight.byteCount
                + block.attention.output.projection.weight.byteCount
                + block.feedForward.up.weight.byteCount + block.feedForward.down.weight.byteCount
        }
        let head = configuration.tieWordEmbeddings ? 0 : head.weight.byteCount
        return matrices + head + embedding.tokens.byteCount + embedding.positions.count * float
    }
}

/// Reads tensors in slices and counts the values that were read.
private struct WeightLoader: ~Copyable {
    let precision: Precision
    let kernels: Kernels
    let arena: PageArena
    let total: Int
    private var done = 0
    /// Values of one slice: small enough for the second-level cache to keep until it is packed.
    private var slice: Matrix

    init(
        _ source: some TensorSource, precision: Precision, kernels: Kernels
    ) throws(MemoryShortage) {
        let slice = try Self.slice(count: 1 << 16)
        let configuration = source.configuration
        let matrices = configuration.requiredTensors.filter {
            $0.shape.count == 2 && $0.name != "wpe.weight"
        }
        let arena = try PageArena(
            sizes: matrices.map { tensor in
                // Tables hold an output a row, all others an input.
                let isTable = tensor.name == "wte.weight" || tensor.name == "lm_head.weight"
                return PackedMatrix.byteCount(
                    inputSize: tensor.shape[isTable ? 1 : 0],
                    outputSize: tensor.shape[isTable ? 0 : 1],
                    precision: isTable
                        ? precision.ofTable(storedAs: source.format(of: tensor.name))
                        : precision, kernels: kernels)
            })
        self.precision = precision
        self.kernels = kernels
        self.arena = arena
        self.slice = slice
        total = configuration.requiredTensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
    }

    mutating func block<Source: TensorSource>(
        _ layer: Int, _ configuration: GPT2Configuration, from source: inout Source,
        _ progress: (Double) throws -> Void
    ) throws -> TransformerBlock {
        let prefix = "h.\(layer)."
        let attentionNorm = try norm(prefix + "ln_1", configuration, from: &source, progress)
        let qkv = try linear(prefix + "attn.c_attn", from: &source, progress)
        let output = try linear(prefix + "attn.c_proj", from: &source, progress)
        let feedForwardNorm = try norm(prefix + "ln_2", configuration, from: &source, progress)
        let up = try linear(prefix + "mlp.c_fc", from: &source, progress)
        let down = try linear(prefix + "mlp.c_proj", from: &source, progress)
        return TransformerBlock(
            attentionNorm: attentionNorm,
            attention: Attention(
                qkv: QKVProjection(projection: qkv),
                scores: AttentionScores(
                    headSize: configuration.headSize,
                    scale: configuration.attentionScale(layer: layer)),
                output: AttentionOutput(projection: output, headSize: configuration.headSize),
                headCount: configuration.headCount),
            feedForwardNorm: feedForwardNorm,
            feedForward: FeedForward(up: up, down: down, activation: configuration.activation))
    }

    mutating func norm<Source: TensorSource>(
        _ name: String, _ configuration: GPT2Configuration, from source: inout Source,
        _ progress: (Double) throws -> Void
    ) throws -> LayerNorm {
        let width = configuration.hiddenSize
        return LayerNorm(
            weight: try rows(name + ".weight", count: 1, width: width, from: &source, progress),
            bias: try rows(name + ".bias", count: 1, width: width, from: &source, progress),
            epsilon: configuration.layerNormEpsilon)
    }

    /// A linear layer, whose matrix is used as [in, out], the way GPT-2's Conv1D stores it.
    mutating func linear<Source: TensorSource>(
        _ name: String, from source: inout Source, _ progress: (Double) throws -> Void
    ) throws -> Linear {
        let weight = name + ".weight"
        let (rowCount, width) = size(of: weight, in: source)
        let layout = source.layout(of: weight)
        let (inputs, outputs) = layout == .inputRows ? (rowCount, width) : (width, rowCount)
        var builder = PackedMatrix.Builder(
            inputSize: inputs, outputSize: outputs, precision: precision, kernels: kernels,
            arena: arena)
        switch layout {
        case .inputRows:
            try forEachSlice(
                weight, rows: rowCount, width: width, granule: PackedMatrix.Builder.inputGranule,
                held: precision, &source, progress
            ) { builder.setInputRows(from: $0, $1) }
        case .outputRows:
            try setOutputRows(
                of: weight, rows: rowCount, width: width, held: precision, in: &builder, &source,
                progress)
        }
        let bias = try rows(name + ".bias", count: 1, width: outputs, from: &source, progress)
        return Linear(weight: builder.finish(), bias: bias, kernels: kernels)
    }

    /// A token table [V, C], packed as the output matrix [C, V].
    mutating func table<Source: TensorSource>(
        _ name: String, from source: inout Source, _ progress: (Double) throws -> Void
    ) throws -> PackedMatrix {
        let (outputs, inputs) = size(of: name, in: source)
        let held = precision.ofTable(storedAs: source.format(of: name))
        var builder = PackedMatrix.Builder(
            inputSize: inputs, outputSize: outputs, precision: held, kernels: kernels,
            arena: arena)
        try setOutputRows(
            of: name, rows: outputs, width: inputs, held: held, in: &builder, &source, progress)
        return builder.finish()
    }

    /// All values of a tensor of `count` rows.
    mutating func rows<Source: TensorSource>(
        _ name: String, count: Int, width: Int, from source: inout Source,
        _ progress: (Double) throws -> Void
    ) throws -> [Float] {
        var values = [Float](repeating: 0, count: count * width)
        var span = values.mutableSpan
        try source.read(name, rows: 0..<count, into: &span)
        try Self.check(
            values.span, of: name, from: 0, width: width, in: source, held: .f32, kernels)
        try advance(by: count * width, progress)
        return values
    }

    /// A row for each output: blocks are packed as they are stored, all else as floats.
    private mutating func setOutputRows<Source: TensorSource>(
        of name: String, rows: Int, width: Int, held: Precision,
        in builder: inout PackedMatrix.Builder, _ source: inout Source,
        _ progress: (Double) throws -> Void
    ) throws {
        let granule = PackedMatrix.Builder.outputGranule
        guard let format = source.format(of: name), format.isBlocks else {
            try forEachSlice(
                name, rows: rows, width: width, granule: granule, held: held, &source, progress
            ) { builder.setOutputRows(from: $0, $1) }
            return
        }
        let limit = WeightLimit(held)
        let rowBytes = format.byteCount(ofValues: width)
        let step = try rowsOfSlice(width: (rowBytes + 3) / 4, granule: granule)
        for first in stride(from: 0, to: rows, by: step) {
            let range = first..<min(first + step, rows)
            let byteCount = range.count * rowBytes
            var floats = slice.mutableRow(0)
            var bytes = unsafe floats.mutableBytes
            try source.readStored(name, rows: range, into: &bytes)
            do {
                let stored = unsafe slice.row(0).bytes.extracting(first: byteCount)
                if let (place, value) = limit.firstUnfit(inBlocks: stored, format) {
                    throw Self.unfit(
                        value, at: first * width + place, of: name, in: source, held: held)
                }
                builder.setOutputRows(from: first, stored: format, stored)
            }
            try advance(by: range.count * width, progress)
        }
    }

    private static func slice(count: Int) throws(MemoryShortage) -> Matrix {
        let arena = try PageArena(sizes: [Matrix.byteCount(rows: 1, columns: count)])
        return Matrix(rows: 1, columns: count, arena: arena)
    }

    /// How many rows of `width` floats a slice holds, once it holds a granule.
    private mutating func rowsOfSlice(
        width: Int, granule: Int
    ) throws(MemoryShortage) -> Int {
        if slice.columns < granule * width { slice = try Self.slice(count: granule * width) }
        return slice.columns / width / granule * granule
    }

    private mutating func forEachSlice<Source: TensorSource>(
        _ name: String, rows: Int, width: Int, granule: Int, held: Precision,
        _ source: inout Source, _ progress: (Double) throws -> Void,
        _ body: (_ first: Int, _ values: Span<Float>) -> Void
    ) throws {
        let step = try rowsOfSlice(width: width, granule: granule)
        for first in stride(from: 0, to: rows, by: step) {
            let range = first..<min(first + step, rows)
            let count = range.count * width
            var span = slice.mutableRow(0, width: count)
            try source.read(name, rows: range, into: &span)
            do {
                let values = slice.row(0).extracting(first: count)
                try Self.check(
                    values, of: name, from: first, width: width, in: source, held: held, kernels)
                body(first, values)
            }
            try advance(by: count, progress)
        }
    }

    /// Refuses weights that cannot be held; `first` is the row of the first.
    private static func check(
        _ values: Span<Float>, of name: String, from first: Int, width: Int,
        in source: some TensorSource, held: Precision, _ kernels: Kernels
    ) throws(ModelFileError) {
        guard let place = WeightLimit(held).firstUnfit(in: values, kernels) else { return }
        throw unfit(
            values[place], at: first * width + place, of: name, in: source, held: held)
    }

    private static func unfit(
        _ value: Float, at place: Int, of name: String, in source: some TensorSource,
        held: Precision
    ) -> ModelFileError {
        let (path, storedName) = source.origin(of: name)
        let shape = source.shape(of: name) ?? []
        let at =
            shape.count == 2
            ? "row \(place / shape[1]), column \(place % shape[1])" : "place \(place)"
        let found = "tensor \(storedName.quotedForMessage) has \(value) at \(at)"
        if value.isFinite {
            return ModelFileError(
                .unsupported, path: path,
                problem: "\(found), but \(held.rawValue) holds no weight beyond "
                    + "±\(WeightLimit(held).magnitude)", remedy: "load it with --precision f32")
        }
        return ModelFileError(
            .malformed, path: path, problem: "\(found), expected a number",
            remedy:
                "the model is broken: download or convert it again, or take an earlier state of "
                + "its training")
    }

    private mutating func advance(by count: Int, _ progress: (Double) throws -> Void) throws {
        done += count
        try progress(Double(done) / Double(total))
    }

    /// - Precondition: the source checked that the tensor is there and a matrix.
    private func size(of name: String, in source: some TensorSource) -> (Int, Int) {
        guard let shape = source.shape(of: name), shape.count == 2 else {
            preconditionFailure("the source has no matrix \(name)")
        }
        return (shape[0], shape[1])
    }
}

extension Precision {
    /// How a token table is held.
    ///
    /// A table that a file stores in 4 bits stays in 4 bits: 8 bits would take more memory and time
    /// without being more exact.
    fileprivate func ofTable(storedAs format: StoredFormat?) -> Precision {
        self == .q4 && format == .q40 ? .q4 : ofTables
    }
}
