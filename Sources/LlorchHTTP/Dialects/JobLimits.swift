// What this server allows a job beyond the rules that every job obeys: fewer tokens, a time limit. The tokens of a prompt
// are counted by the worker: StreamTable.swift refuses a job whose `started` tells too many.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import LlorchConfiguration
package import LlorchProtocol

/// Limits that apply to jobs of every dialect.
package struct JobLimits: Sendable, Hashable {
    /// Tokens that a job may produce; a job that names no number gets this many at most.
    package var maximumTokens = Int(JobValidation.maximumTokens.upperBound)
    /// Tokens that a prompt may have; nil leaves that to the model's context.
    package var maximumPromptTokens: Int?
    /// The time after which a job ends, from its request on; nil lets it take any time.
    package var timeout: Duration?

    package init() {}

    package init(_ settings: Settings) throws(SettingError) {
        let allowed = 1...Int(JobValidation.maximumTokens.upperBound)
        maximumTokens = try settings.number("max-tokens-out", in: allowed) ?? maximumTokens
        maximumPromptTokens = try settings.number("max-tokens-in", in: 1...1_000_000)
        let seconds = try settings.number("inference-timeout-sec", in: 0...86_400)
        timeout = seconds.flatMap { $0 == 0 ? nil : .seconds($0) }
    }

    /// Applies the limits to a job, or refuses it.
    ///
    /// A dialect that can tell a job without `max_tokens` limits such a job itself.
    package func apply(to job: inout GenerationJob) throws(Refusal) {
        guard job.maximumTokens <= maximumTokens else {
            throw Refusal(
                .badRequest, field: "max_tokens", constraint: "range(1..=\(maximumTokens))",
                "max_tokens must be at most \(maximumTokens) (got \(job.maximumTokens))",
                value: "\(job.maximumTokens)")
        }
        guard let timeout else { return }
        let milliseconds = UInt32(clamping: timeout.components.seconds * 1_000)
        job.deadlineMilliseconds = min(job.deadlineMilliseconds ?? .max, milliseconds)
    }
}
