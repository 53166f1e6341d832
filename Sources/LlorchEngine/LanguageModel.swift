// The engine's public face: load a model, turn text into tokens and back, continue a text. Its files are this one,
// Generation.swift and LanguageModelError.swift; everything else of the engine is the package's own.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// A GPT-2 model with its tokenizer, ready to generate text on the processor.
///
/// A model is immutable: copies share its weights, and any thread may use it. The same model, prompt, settings and
/// seed give the same text on every machine.
///
/// ```swift
/// let model = try LanguageModel(path: "models/shakespeare")
/// for piece in try model.generate("ROMEO.", maximumTokens: 64, seed: 7) {
///     print(piece.text, terminator: "")
/// }
/// ```
public struct LanguageModel: Sendable {
    /// How weights are held in memory, which decides how exact and how fast a model is.
    public enum Precision: String, Sendable, Hashable, CaseIterable {
        /// What the model's file stores: 8 or 4 bits, or bf16 where that loses nothing, else f32.
        case auto
        /// 32-bit floats: four bytes a weight.
        case f32
        /// 16-bit floats with the range of 32-bit ones: two bytes a weight.
        case bf16
        /// 8-bit integers in blocks of 32 with a common scale.
        case q8
        /// 4-bit integers in blocks of 32 with a common scale.
        case q4
    }

    /// What is known of a loaded model.
    public struct Facts: Sendable, Hashable {
        /// The name of the model's directory or file.
        public let name: String
        /// 32 hexadecimal digits that tell models apart by their weights, sizes and tokenizer.
        public let digest: String
        /// How the weights are held; never `auto`.
        public let precision: Precision
        /// The number of weights.
        public let parameterCount: Int
        /// Bytes of the weights in memory.
        public let memoryBytes: Int
        /// Tokens that a prompt and its continuation may have together.
        public let contextLength: Int
        /// The number of different tokens.
        public let vocabularySize: Int
    }

    private let loaded: LoadedModel

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - path: a directory as Hugging Face lays it out (`config.json`, `model.safetensors`, the tokenizer's files),
    ///     or a GGUF file.
    ///   - precision: how weights are held in memory.
    ///   - progress: called with the fraction that is loaded, from 0 to 1.
    /// - Throws: an error whose message names the file, what is wrong with it, and what to do about it.
    public init(
        path: String, precision: Precision = .auto, progress: (Double) -> Void = { _ in }
    ) throws(LanguageModelError) {
        let held: PrecisionChoice =
            switch precision {
            case .auto: .auto
            case .f32: .f32
            case .bf16: .bf16
            case .q8: .q8
            case .q4: .q4
            }
        do {
            loaded = try LoadedModel(
                path: path, precision: held, kernels: Kernels(.best) ?? .generic,
                progress: progress)
        } catch {
            throw LanguageModelError(loading: error)
        }
    }

    /// What is known of the model.
    public var facts: Facts {
        let precision: Precision =
            switch loaded.model.precision {
            case .f32: .f32
            case .bf16: .bf16
            case .q8: .q8
            case .q4: .q4
            }
        return Facts(
            name: loaded.facts.name, digest: loaded.facts.digest, precision: precision,
            parameterCount: loaded.model.parameterCount,
            memoryBytes: loaded.model.weightByteCount,
            contextLength: loaded.facts.contextLength,
            vocabularySize: loaded.facts.vocabularySize)
    }

    /// Turns a text into tokens; the text of a special token is text like any other.
    public func tokenize(_ text: String) -> [UInt32] {
        loaded.tokenizer.tokenize(text)
    }

    /// Turns tokens into the UTF-8 that they stand for, which may begin or end inside a character.
    ///
    /// - Throws: for a token that is not in the vocabulary.
    public func detokenize(_ tokens: [UInt32]) throws(LanguageModelError) -> [UInt8] {
        do {
            return try loaded.tokenizer.detokenize(tokens)
        } catch {
            throw LanguageModelError(.invalidRequest, "\(error)")
        }
    }

    /// Continues a text.
    ///
    /// - Parameters:
    ///   - prompt: the text to continue, which leaves room in the context.
    ///   - maximumTokens: how many tokens are generated at most; the end of the context may come first.
    ///   - sampling: how each token is chosen.
    ///   - stopSequences: texts that end the generation and are no part of it.
    ///   - seed: the same seed gives the same text; nil chooses one, which the generation tells.
    /// - Returns: the pieces of the text; each is computed when it is asked for.
    /// - Throws: for a prompt without a token or without room for another, and for settings out of their ranges.
    public func generate(
        _ prompt: String, maximumTokens: Int = 128, sampling: Sampling = Sampling(),
        stopSequences: [String] = [], seed: UInt64? = nil
    ) throws(LanguageModelError) -> Generation {
        guard maximumTokens >= 1 else {
            throw LanguageModelError(
                .invalidRequest, "maximumTokens must be at least 1, found \(maximumTokens)")
        }
        let job = GenerationJob(
            id: "generation", prompt: .text(prompt),
            maximumTokens: min(maximumTokens, loaded.facts.contextLength),
            sampling: try sampling.parameters(), stopSequences: stopSequences,
            seed: seed ?? GenerationJob.drawnSeed())
        return try Generation(job, on: loaded)
    }
}

/// How each token is chosen from the probabilities that a model gives.
public struct Sampling: Sendable, Hashable {
    /// From 0 to 2: 0 takes the most likely token, 1 draws by the model's own probabilities.
    public var temperature: Float
    /// Draws from this many of the most likely tokens; 0 draws from all.
    public var topK: Int
    /// From 0 to 1: draws from the most likely tokens up to this sum of probability; 1 draws from all.
    public var topP: Float
    /// From 0 to 1: draws from tokens at least this fraction as likely as the best; 0 draws from all.
    public var minP: Float
    /// From 0 to 2: above 1 weakens tokens that were generated before; 1 is off.
    public var repetitionPenalty: Float

    /// Settings that draw by the model's own probabilities where nothing else is given.
    public init(
        temperature: Float = 1, topK: Int = 0, topP: Float = 1, minP: Float = 0,
        repetitionPenalty: Float = 1
    ) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
    }

    fileprivate func parameters() throws(LanguageModelError) -> SamplingParameters {
        guard let topK = UInt32(exactly: topK),
            let parameters = SamplingParameters(
                temperature: temperature, topK: topK, topP: topP, minP: minP,
                repetitionPenalty: repetitionPenalty)
        else {
            throw LanguageModelError(
                .invalidRequest,
                "temperature and repetitionPenalty must be 0 to 2, topP and minP 0 to 1, topK not "
                    + "negative; found \(self)")
        }
        return parameters
    }
}
