// `X-Deadline`: the time after which an answer is of no use to the client. At that time the dispatcher ends a
// job that waits, and the worker a job that runs.
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPTypes
import LlorchProtocol

enum DeadlineHeader {
    static let name = "X-Deadline"

    /// Gives a job the time that its request's headers leave, if they say one.
    static func apply(_ headers: HTTPFields, to job: inout GenerationJob) throws(Refusal) {
        guard let field = HTTPField.Name(name), let text = headers[field] else { return }
        job.deadlineMilliseconds = try millisecondsLeft(text)
    }

    /// Milliseconds left until a time in ISO 8601, or in milliseconds since 1970.
    ///
    /// - Throws: 400 for a text that is no time, 504 for a time that has passed.
    static func millisecondsLeft(_ text: String, now: Date = .now) throws(Refusal) -> UInt32 {
        guard let time = time(text) else {
            let message =
                "\(name) must be a time as 2026-01-01T00:00:00Z, or milliseconds since 1970"
            throw Refusal(
                .badRequest, field: name, constraint: "timestamp", message,
                value: String(text.prefix(100)))
        }
        // Both times are within the years that the formats can spell, so their difference fits Int64.
        let left = Int64((time.timeIntervalSince(now) * 1_000).rounded())
        guard left > 0 else {
            throw Refusal(
                JobFailure(.inferenceTimeout, "the deadline passed \(-left) ms ago"))
        }
        return UInt32(clamping: left)
    }

    private static func time(_ text: String) -> Date? {
        // Milliseconds have thirteen digits until the year 2286; Double holds fifteen digits exactly.
        if !text.isEmpty, text.utf8.count <= 15,
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        {
            return Int64(text).map { Date(timeIntervalSince1970: Double($0) / 1_000) }
        }
        guard text.utf8.count <= 40 else { return nil }
        return (try? Date(text, strategy: .iso8601))
            ?? (try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
    }
}
