// How a worker says goodbye: waits a little for readers and acknowledgements, then sends `bye` as its last event.
// SPDX-License-Identifier: Apache-2.0

import LlorchLog
import LlorchQueue
import Logging

enum Leaving {
    /// How long leaving may still take after a second signal.
    private static let stopPatience = Duration.milliseconds(500)
    /// How long readers and acknowledgements are waited for, and how long closing may send.
    private static let patience = QueueSocket.drainLinger

    /// Sends what waits and `bye`; afterwards the sockets may be closed.
    static func leave(_ link: WorkerLink, reason: String) throws(ZMQError) {
        link.noteLastJobOver()
        let begin = link.now
        link.observe(.awaitingAcknowledgements)
        while !link.departure.isStopping, !link.outbox.isEmpty || isAcknowledgementDue(link) {
            let left = begin + patience - link.now
            if left <= .zero { break }
            try link.wait(atMost: left)
        }
        link.sayGoodbye(reason: reason)
        let end = link.now + stopPatience
        try link.flush()
        while !link.outbox.isEmpty, link.now < end {
            try link.waitForRoom(atMost: end - link.now)
            try link.flush()
        }
        try link.setLinger(link.departure.isStopping ? stopPatience : patience)
        link.logger.notice(
            "leaving",
            metadata: .of(
                .shutdown, ["reason": "\(reason)", "unsent_bytes": "\(link.outbox.bytes)"]))
    }

    /// A dispatcher that never acknowledged will not begin now.
    private static func isAcknowledgementDue(_ link: WorkerLink) -> Bool {
        link.table.acknowledged > 0 && link.table.unacknowledged > 0
    }
}
