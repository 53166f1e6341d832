// Why a job ended well. Failure and cancel are `JobFailure`s.
// SPDX-License-Identifier: Apache-2.0

/// The reason in an `end` event; the raw value is the spelling on the wire, upper case like the error codes.
package enum StopReason: String, Sendable, Hashable, CaseIterable {
    case maximumTokens = "MAX_TOKENS"
    case endOfText = "EOS"
    case stopSequence = "STOP_SEQUENCE"
}
