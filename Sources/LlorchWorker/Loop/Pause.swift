// The running job waits because the events have no reader, and is given up if that lasts.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import LlorchSystem
import Logging

enum Pause {
    /// Waits once, for room in the outbox or for anything else that comes; to be called until there is room.
    static func wait(_ link: WorkerLink) throws(ZMQError) {
        if link.stall.begin(link.now) {
            link.hurryHeartbeat()
            link.logger.warning(
                "the running job is paused: nobody reads the events",
                metadata: ["outbox_bytes": "\(link.outbox.bytes)"])
        }
        try link.wait()
        let timeout = link.options.stallTimeout
        if link.stall.isOver(link.now, timeout: timeout) {
            link.giveUp(
                JobFailure(
                    .consumerStalled,
                    "the events were not read for \(timeout.wholeMilliseconds) ms"))
        }
        if !link.outbox.isFull {
            link.stall.end()
            link.hurryHeartbeat()
        }
    }
}
