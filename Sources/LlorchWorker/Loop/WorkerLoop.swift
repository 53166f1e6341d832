// The worker's life: announce, load, run jobs one after another, leave when asked.
// One job: JobRunner.swift. Leaving: Leaving.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchEngine
import LlorchLog
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
    ///   - logger: told counts and times, never prompts or answers; given the worker's name.
    ///   - clock: time since some moment that stays the same; never goes back.
    ///   - onStage: told what the loop comes by, on the calling thread.
    ///   - makeBackend: loads the model, calling its argument now and then.
    /// - Throws: what `makeBackend` throws, `QueueAddressError` for an address that cannot be used,
    ///   `SystemError` or `ZMQError`.
    package static func run<Backend: InferenceBackend & ~Copyable>(
        _ options: WorkerOptions, shutdown: ShutdownSignal, logger: Logger,
        clock: @escaping () -> Duration = MonotonicClock.now,
        onStage: @escaping StageObserver = { _ in },
        makeBackend: (_ progress: @escaping Progress) throws -> Backend
    ) throws {
        let link = try WorkerLink(
            options, shutdown: shutdown, logger: logger, clock: clock, observe: onStage)
        try link.wait(atMost: .zero)
        var backend: Backend
        do {
            backend = try makeBackend { fraction in
                try link.noteLoading(fraction)
                if link.departure.isDraining { throw LoadInterrupted() }
            }
        } catch is LoadInterrupted {
            try Leaving.leave(link, reason: "shutdown while loading")
            return
        } catch {
            link.beginDrain()
            try Leaving.leave(link, reason: "the model could not be loaded")
            throw error
        }
        try link.noteLoaded(backend.facts)
        link.logger.info(
            "ready",
            metadata: .of(
                .ready, ["memory_bytes": "\(backend.facts.memoryBytes)", "vram_bytes": "0"]))
        while !link.departure.isDraining {
            if link.table.queuedCount > 0 {
                try JobRunner.runNext(&backend, link)
            } else {
                try link.wait()
            }
        }
        try Leaving.leave(link, reason: "drained")
    }
}
