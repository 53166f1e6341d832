// Why bytes are not a message. Never holds the bytes themselves: they may be a prompt.
// SPDX-License-Identifier: Apache-2.0

/// The error of every parser in this folder.
package struct WireError: Error, Sendable, Hashable, CustomStringConvertible {
    /// How far parsing came; decides the HTTP status and the queue's error code.
    package enum Kind: Sendable, Hashable {
        /// Longer than the limit.
        case tooLarge
        /// Not JSON at all, or not UTF-8, too deep, trailing bytes.
        case syntax
        /// JSON, but a field is missing, twice there, unknown, or of the wrong type.
        case schema
        /// A `v` other than 1.
        case unsupportedVersion
        /// The fields are there but their values break rules; `failure.errors` lists all.
        case invalid
    }

    package var kind: Kind
    /// Ready to be sent back.
    package var failure: JobFailure
    /// The job that the message was about, if its id could be read.
    package var job: JobReference?

    package init(_ kind: Kind, _ failure: JobFailure, job: JobReference? = nil) {
        self.kind = kind
        self.failure = failure
        self.job = job
    }

    package var description: String { failure.description }
}
