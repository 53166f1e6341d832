// The worker's life: announce, load, run jobs one after another, leave when asked.
// SPDX-License-Identifier: Apache-2.0

package import LlorchEngine
import LlorchProtocol
import LlorchQueue
package import LlorchSystem
package import Logging

/// Thrown through a loader when the worker was asked to leave while it loads.
package struct LoadInterrupted: Error {}

package enum WorkerLoop {
    /// To be called by a loader at least every 50 ms, with the fraction done; throws `LoadInterrupted`.
    package typealias Progress = (Double) throws -> Void

    /// Runs until a drain or a shutdown signal is carried out; the whole loop is the calling thread.
    ///
    /// - Parameters:
    ///   - options: names, addresses and limits.
    ///   - shutdown: `ShutdownSignal.handlingTermination()` in a process of its own.
    ///   - logger: told counts and times, never text.
    ///   - clock: monotonic microseconds.
    ///   - makeBackend: loads the model, calling its argument now and then.
    /// - Throws: what `makeBackend` throws, `QueueAddressError` for an address that cannot be used,
    ///   `SystemError` or `ZMQError`.
    package static func run<Backend: InferenceBackend & ~Copyable>(
        _ options: WorkerOptions, shutdown: ShutdownSignal, logger: Logger,
        clock: @escaping () -> Int64 = MonotonicClock.microseconds,
        makeBackend: (_ progress: @escaping Progress) throws -> Backend
    ) throws {
        let link = try WorkerLink(options, shutdown: shutdown, logger: logger, clock: clock)
        try link.wait(atMost: 0)
        var backend: Backend
        do {
            backend = try makeBackend { fraction in
                try link.noteLoading(fraction)
                if link.isDraining { throw LoadInterrupted() }
            }
        } catch is LoadInterrupted {
            try link.leave(reason: "shutdown while loading")
            return
        } catch {
            link.beginDrain()
            try link.leave(reason: "the model could not be loaded")
            throw error
        }
        try link.noteLoaded(backend.facts)
        while !link.isDraining {
            if link.table.queuedCount > 0 {
                try JobRunner.runNext(&backend, link)
            } else {
                try link.wait()
            }
        }
        try link.leave(reason: "drained")
    }
}
