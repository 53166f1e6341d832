// Why a job ended badly, or was never begun: a stable code, a safe sentence, and whether to try again.
// Messages never hold prompts or completions.
// SPDX-License-Identifier: Apache-2.0

/// The contents of an `error` event, and the error every layer above the engine throws.
package struct JobFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// The only set of codes, on the queue and in HTTP; the raw value is the spelling on the wire.
    package enum Code: String, Sendable, Hashable, CaseIterable {
        case invalidRequest = "INVALID_REQUEST"
        case contextOverflow = "CONTEXT_OVERFLOW"
        case jobIDConflict = "JOB_ID_CONFLICT"
        case queueFull = "QUEUE_FULL"
        case draining = "DRAINING"
        case shutdown = "SHUTDOWN"
        case cancelled = "CANCELLED"
        case inferenceTimeout = "INFERENCE_TIMEOUT"
        case inferenceFailed = "INFERENCE_FAILED"
        case poison = "POISON"
        case workerLost = "WORKER_LOST"
        case consumerStalled = "CONSUMER_STALLED"
        case diverged = "DIVERGED"
        case unsupportedVersion = "UNSUPPORTED_VERSION"
        case malformed = "MALFORMED"
        case `internal` = "INTERNAL"

        /// Whether the same job may succeed when it is sent again, here or elsewhere.
        package var isRetriable: Bool {
            switch self {
            case .queueFull, .draining, .shutdown, .workerLost, .consumerStalled, .diverged,
                .internal:
                true
            case .invalidRequest, .contextOverflow, .jobIDConflict, .cancelled,
                .inferenceTimeout, .inferenceFailed, .poison, .unsupportedVersion, .malformed:
                false
            }
        }
    }

    package var code: Code
    /// One sentence, with the remedy where one exists.
    package var message: String
    package var retriable: Bool
    /// All that is wrong with the request, if the code is `invalidRequest`; otherwise empty.
    package var errors: [FieldError]

    package init(
        _ code: Code, _ message: String, retriable: Bool? = nil, errors: [FieldError] = []
    ) {
        self.code = code
        self.message = message
        self.retriable = retriable ?? code.isRetriable
        self.errors = errors
    }

    package var description: String { "\(code.rawValue): \(message)" }
}
