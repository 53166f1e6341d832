// Where weights come from, slice by slice, so that loading needs no second copy of them.
// What a model demands of any file. The files: ModelFile/StoredModel.swift; packing the weights: GPT2Weights.swift.
// SPDX-License-Identifier: Apache-2.0

/// The tensors of one model under their canonical names, that is without the prefix `transformer.`.
package protocol TensorSource {
    var configuration: GPT2Configuration { get }

    /// Shape of a tensor that the model uses, nil when it has none of that name.
    ///
    /// `lm_head.weight` has a shape only where it is not the token table.
    func shape(of name: String) -> [Int]?

    /// How the matrix of a linear layer is stored; its shape is the stored one. Token tables always have
    /// a row for each token.
    func layout(of name: String) -> MatrixLayout

    /// How the values of a tensor are stored; nil where rows can only be had as floats.
    ///
    /// Rows of a matrix that is stored in blocks can also be had as they are stored.
    func format(of name: String) -> StoredFormat?

    /// The file that holds a tensor, and its name there, for messages.
    func origin(of name: String) -> (path: String, name: String)

    /// Reads rows of a rank-2 tensor, or a whole rank-1 tensor as row 0, widened to Float exactly.
    ///
    /// - Precondition: `rows` lie in the tensor and `destination` holds exactly these rows.
    mutating func read(
        _ name: String, rows: Range<Int>, into destination: inout MutableSpan<Float>
    ) throws(ModelFileError)

    /// Reads rows of blocks as they are stored into the front of `destination`.
    ///
    /// - Precondition: `rows` lie in the tensor, its format is one of blocks, and there is room.
    mutating func readStored(
        _ name: String, rows: Range<Int>, into destination: inout MutableRawSpan
    ) throws(ModelFileError)
}

extension TensorSource {
    package func format(of name: String) -> StoredFormat? { nil }

    package func origin(of name: String) -> (path: String, name: String) { ("the model", name) }

    package mutating func readStored(
        _ name: String, rows: Range<Int>, into destination: inout MutableRawSpan
    ) throws(ModelFileError) {
        preconditionFailure("\(name) is not stored in blocks")
    }
}

/// What one row of a stored weight belongs to.
package enum MatrixLayout: Sendable, Hashable {
    /// [in, out], as Conv1D stores it.
    case inputRows
    /// [out, in], as llama.cpp does.
    case outputRows
}
