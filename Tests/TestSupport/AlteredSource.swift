// A model's tensors with some changed on the way: how negative twins break one thing and keep the
// rest.
// SPDX-License-Identifier: Apache-2.0

package import LlorchEngine

package struct AlteredSource<Base: TensorSource>: TensorSource {
    package var configuration: GPT2Configuration
    private var base: Base
    private var altered: [String: ReferenceArray] = [:]

    package init(_ base: Base) {
        self.base = base
        configuration = base.configuration
    }

    /// Replaces one tensor by what `change` makes of it.
    package mutating func alter(
        _ name: String, _ change: (inout ReferenceArray) -> Void
    ) throws {
        var array = try whole(name)
        change(&array)
        altered[name] = array
    }

    /// Adds a tensor that the file does not have, or replaces it.
    package mutating func set(_ name: String, to array: ReferenceArray) {
        altered[name] = array
    }

    /// One tensor, read whole.
    package mutating func whole(_ name: String) throws -> ReferenceArray {
        guard let shape = shape(of: name) else {
            throw MissingTensor(description: "the model has no tensor \(name)")
        }
        var values = [Float](repeating: 0, count: shape.reduce(1, *))
        var span = values.mutableSpan
        try read(name, rows: 0..<(shape.count == 2 ? shape[0] : 1), into: &span)
        return ReferenceArray(shape: shape, values: values)
    }

    package func shape(of name: String) -> [Int]? {
        altered[name]?.shape ?? base.shape(of: name)
    }

    /// Changed tensors are stored as the base stores them.
    package func layout(of name: String) -> MatrixLayout { base.layout(of: name) }

    package mutating func read(
        _ name: String, rows: Range<Int>, into destination: inout MutableSpan<Float>
    ) throws(ModelFileError) {
        guard let array = altered[name] else {
            try base.read(name, rows: rows, into: &destination)
            return
        }
        let columns = array.shape.count == 2 ? array.shape[1] : array.values.count
        for index in 0..<rows.count * columns {
            destination[index] = array.values[rows.lowerBound * columns + index]
        }
    }

    package struct MissingTensor: Error, CustomStringConvertible {
        package var description: String
    }
}

extension GPT2Configuration {
    /// The same network with one thing changed.
    package func with(
        layerCount: Int? = nil, headCount: Int? = nil, layerNormEpsilon: Float? = nil,
        activation: Activation? = nil, scaleAttentionWeights: Bool? = nil,
        tieWordEmbeddings: Bool? = nil
    ) -> GPT2Configuration {
        GPT2Configuration(
            vocabularySize: vocabularySize, contextLength: contextLength, hiddenSize: hiddenSize,
            layerCount: layerCount ?? self.layerCount, headCount: headCount ?? self.headCount,
            feedForwardSize: feedForwardSize,
            layerNormEpsilon: layerNormEpsilon ?? self.layerNormEpsilon,
            activation: activation ?? self.activation,
            tieWordEmbeddings: tieWordEmbeddings ?? self.tieWordEmbeddings,
            scaleAttentionWeights: scaleAttentionWeights ?? self.scaleAttentionWeights,
            scaleAttentionByInverseLayerIndex: scaleAttentionByInverseLayerIndex,
            endOfText: endOfText)
    }
}
