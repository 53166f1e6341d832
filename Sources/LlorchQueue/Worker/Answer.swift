// An event that a worker answers with, before it has a place in the sequence of events.
// What is answered: JobTable.swift. When it leaves: Outbox.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// An event to send.
package struct Answer: Sendable, Hashable {
    package var body: WorkerEvent.Body
    /// Whether its reader asks again where it is lost, so that a full outbox may leave it out.
    package var isRepeatable: Bool

    package init(_ body: WorkerEvent.Body, isRepeatable: Bool) {
        self.body = body
        self.isRepeatable = isRepeatable
    }
}
