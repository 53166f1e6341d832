// What a dispatcher says to a worker. One frame, one JSON object. Bytes: DispatcherMessage+JSON.swift.
// SPDX-License-Identifier: Apache-2.0

/// Names one copy of a job: `attempt` is a fencing token that the dispatcher owns.
package struct JobReference: Sendable, Hashable {
    package var jobID: String
    /// From 1; 0 in the answer to a job whose attempt could not be read.
    package var attempt: UInt32

    package init(jobID: String, attempt: UInt32) {
        self.jobID = jobID
        self.attempt = attempt
    }
}

/// A message on a worker's `jobs` or `control` socket.
package enum DispatcherMessage: Sendable, Hashable {
    case job(GenerationJob, attempt: UInt32)
    case cancel(JobReference)
    /// The dispatcher has the terminal event; the worker may forget the job.
    case acknowledge(JobReference)
    case drain
    /// Renews the lease of one job, or of all jobs where it names none.
    case ping(jobID: String?)
}
