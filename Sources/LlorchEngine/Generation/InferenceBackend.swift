// The seam between the worker's loop and whatever computes tokens. Jobs in, events out; knows no sockets.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// What one call of `step()` came to.
package enum BackendStep: Sendable, Hashable {
    /// Some work was done, at most one transformer layer of one chunk; call again.
    case working
    /// One more event of the job.
    case event(TokenEvent)
    /// Nothing is running: the terminal event has been given out, or no job was started.
    case finished
}

/// Runs one job at a time in steps that are short enough to look at the sockets between them.
///
/// The backend is the session: its caches belong to the one running job. A double for tests scripts
/// its events; the real one is `CPUBackend`.
package protocol InferenceBackend: ~Copyable {
    /// What heartbeats tell about the model.
    var facts: ModelFacts { get }

    /// Takes a job and checks what needs the tokenizer; the events follow from `step()`.
    ///
    /// - Parameters:
    ///   - job: the job; `seed` is chosen by the caller, never nil here.
    ///   - queuedMilliseconds: reported in `started`.
    /// - Throws: `contextOverflow` or `invalidRequest`, before any event; the backend stays idle.
    /// - Precondition: no job is running.
    mutating func start(_ job: GenerationJob, queuedMilliseconds: Int) throws(JobFailure)

    /// Does a bounded piece of work: at most one layer for one chunk of tokens.
    mutating func step() -> BackendStep

    /// Drops the running job without a further event; the caller sends the terminal event.
    mutating func cancel()
}
