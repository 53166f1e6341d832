// The bound of what answers hold that are written only when they are whole. Streams have a bound of their own:
// Streams/OpenResponses.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol
import Synchronization

/// Memory of all answers that are kept until they are whole, so that many long ones cannot take all there is.
package final class KeptAnswers: Sendable {
    package static let maximumBytes = 128 << 20
    package static let full = JobFailure(
        .queueFull,
        "the answers that this server keeps until they are whole take all the memory that they may; "
            + "ask for fewer completions at once, or for a stream")

    private let limit: Int
    private let bytes = Atomic<Int>(0)

    package init(limit: Int = KeptAnswers.maximumBytes) {
        self.limit = limit
    }

    /// False, and nothing is taken, where there is no room.
    package func take(_ count: Int) -> Bool {
        guard bytes.add(count, ordering: .relaxed).newValue <= limit else {
            bytes.subtract(count, ordering: .relaxed)
            return false
        }
        return true
    }

    package func free(_ count: Int) {
        bytes.subtract(count, ordering: .relaxed)
    }
}
