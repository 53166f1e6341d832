// The sizes and switches of one GPT-2. Only plausible values can exist, so that no product of them
// overflows. Reading them from files: ModelFile/Safetensors/ConfigurationFile.swift, ModelFile/GGUF/GGUFFile.swift.
// SPDX-License-Identifier: Apache-2.0

/// What the shape of the network and of every tensor follows from.
package struct GPT2Configuration: Sendable, Hashable {
    /// V, rows of the token table.
    package let vocabularySize: Int
    /// Rows of the position table; prompt and answer together never exceed it.
    package let contextLength: Int
    /// C, the width of the model.
    package let hiddenSize: Int
    /// L, the number of transformer blocks.
    package let layerCount: Int
    /// H; divides `hiddenSize`.
    package let headCount: Int
    /// F, the width inside the feed-forward network.
    package let feedForwardSize: Int
    package let layerNormEpsilon: Float
    package let activation: Activation
    /// Whether the token table is the output matrix too.
    package let tieWordEmbeddings: Bool
    /// Whether attention scores are divided by √(head size).
    package let scaleAttentionWeights: Bool
    /// Whether attention scores are divided by (layer index + 1) as well.
    package let scaleAttentionByInverseLayerIndex: Bool
    /// Ids that end a text, ascending, each below `vocabularySize`; may be empty.
    package let endOfText: [Int]

    /// The largest product, layers · context · hidden · 2 caches · 4 bytes, stays below 2⁵⁰.
    package static let vocabularySizes = 1...1 << 20
    package static let contextLengths = 1...1 << 20
    package static let hiddenSizes = 1...1 << 16
    package static let layerCounts = 1...1 << 10
    package static let feedForwardSizes = 1...1 << 18
    /// The lower end keeps 1/√(variance + ε) finite for a constant row.
    package static let layerNormEpsilons: ClosedRange<Float> = 1e-12...1
    package static let maximumEndOfTextCount = 16

    /// - Precondition: every size within its range, heads divide `hiddenSize`, ids in the vocabulary.
    package init(
        vocabularySize: Int, contextLength: Int, hiddenSize: Int, layerCount: Int, headCount: Int,
        feedForwardSize: Int? = nil, layerNormEpsilon: Float = 1e-5,
        activation: Activation = .geluTanh, tieWordEmbeddings: Bool = true,
        scaleAttentionWeights: Bool = true, scaleAttentionByInverseLayerIndex: Bool = false,
        endOfText: [Int] = []
    ) {
        precondition(
            Self.vocabularySizes ~= vocabularySize, "vocabularySize is \(vocabularySize)")
        precondition(Self.contextLengths ~= contextLength, "contextLength is \(contextLength)")
        precondition(Self.hiddenSizes ~= hiddenSize, "hiddenSize is \(hiddenSize)")
        precondition(Self.layerCounts ~= layerCount, "layerCount is \(layerCount)")
        precondition(
            headCount > 0 && hiddenSize % headCount == 0,
            "headCount is \(headCount), hiddenSize is \(hiddenSize)")
        let feedForwardSize = feedForwardSize ?? 4 * hiddenSize
        precondition(
            Self.feedForwardSizes ~= feedForwardSize, "feedForwardSize is \(feedForwardSize)")
        precondition(
            Self.layerNormEpsilons ~= layerNormEpsilon, "layerNormEpsilon is \(layerNormEpsilon)")
        precondition(
            endOfText.allSatisfy { $0 >= 0 && $0 < vocabularySize },
            "endOfText is \(endOfText), vocabularySize is \(vocabularySize)")
        self.vocabularySize = vocabularySize
        self.contextLength = contextLength
        self.hiddenSize = hiddenSize
        self.layerCount = layerCount
        self.headCount = headCount
        self.feedForwardSize = feedForwardSize
        self.layerNormEpsilon = layerNormEpsilon
        self.activation = activation
        self.tieWordEmbeddings = tieWordEmbeddings
        self.scaleAttentionWeights = scaleAttentionWeights
        self.scaleAttentionByInverseLayerIndex = scaleAttentionByInverseLayerIndex
        self.endOfText = endOfText.sorted()
    }

    /// D, the width of one head.
    package var headSize: Int { hiddenSize / headCount }

    /// What q·k is multiplied with in one layer.
    package func attentionScale(layer: Int) -> Float {
        let byHead = scaleAttentionWeights ? 1 / Float(headSize).squareRoot() : 1
        return scaleAttentionByInverseLayerIndex ? byHead / Float(layer + 1) : byHead
    }
}
