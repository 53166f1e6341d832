// What is asked of a worker: one prompt, its limits and how to choose tokens.
// Not how it travels (Wire/), nor who has it (LlorchQueue). The answer is `TokenEvent`.
// SPDX-License-Identifier: Apache-2.0

/// The index of a vocabulary entry.
package typealias TokenID = UInt32

/// One generation job, valid by construction: the validator is the only maker of jobs from outside.
package struct GenerationJob: Sendable, Hashable {
    /// Chosen by the dispatcher, any non-empty string, unique among the jobs it has out.
    package var id: String
    package var prompt: Prompt
    /// Whether a special token that the prompt spells out, such as `<|endoftext|>`, is that token; otherwise
    /// the spelling is text like any other.
    package var specialTokens: Bool
    /// Whether the answer begins with the tokens of the prompt.
    package var echo: Bool
    /// 1 to 2,048 new tokens, or 0 with `echo`, counted over all attempts; the context left may end the job
    /// earlier.
    package var maximumTokens: Int
    /// How many alternatives the log-probability of each token is told with, 0 to 10; nil tells none.
    package var logProbabilities: Int?
    package var sampling: SamplingParameters
    /// At most 4 texts of 1 to 100 UTF-8 bytes each.
    package var stopSequences: [String]
    /// Nil asks the worker to choose one and to report it in `started`.
    package var seed: UInt64?
    /// Counted from the worker's receipt of the job; covers the queue and the run.
    package var deadlineMilliseconds: UInt32?
    /// Without a `ping` for this long the worker gives the job up.
    package var leaseMilliseconds: UInt32?
    /// Tokens of an earlier attempt that the dispatcher holds; generation goes on after them.
    package var resumeIDs: [TokenID]
    /// Carried through to logs: `[A-Za-z0-9-]{1,64}`.
    package var correlationID: String?

    package init(
        id: String, prompt: Prompt, specialTokens: Bool = false, echo: Bool = false,
        maximumTokens: Int = GenerationJob.defaultMaximumTokens, logProbabilities: Int? = nil,
        sampling: SamplingParameters = .default, stopSequences: [String] = [],
        seed: UInt64? = nil, deadlineMilliseconds: UInt32? = nil,
        leaseMilliseconds: UInt32? = nil, resumeIDs: [TokenID] = [],
        correlationID: String? = nil
    ) {
        self.id = id
        self.prompt = prompt
        self.specialTokens = specialTokens
        self.echo = echo
        self.maximumTokens = maximumTokens
        self.logProbabilities = logProbabilities
        self.sampling = sampling
        self.stopSequences = stopSequences
        self.seed = seed
        self.deadlineMilliseconds = deadlineMilliseconds
        self.leaseMilliseconds = leaseMilliseconds
        self.resumeIDs = resumeIDs
        self.correlationID = correlationID
    }

    /// A seed for a job that brings none.
    ///
    /// It has 53 bits, so that readers that keep numbers as doubles, such as JavaScript, send back the seed
    /// that they were told. A client may give any seed of 64 bits.
    package static func drawnSeed() -> UInt64 { .random(in: 0..<1 << 53) }

    /// The value of an absent `max_tokens`, which is the largest allowed; the context left may end the job earlier.
    package static let defaultMaximumTokens = 2048
}
