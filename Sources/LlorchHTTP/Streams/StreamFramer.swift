// What a stream needs of the dialect it is answered in: events as bytes. The dialects themselves: Dialects/.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// Turns the events of one job into the bytes of one response.
package protocol StreamFramer: Sendable {
    /// The bytes of an event; none for an event that its reader is not shown.
    ///
    /// `waited` is the time since the request.
    mutating func bytes(for event: TokenEvent, waited: Duration) -> [UInt8]

    /// Bytes that are no event to any reader; they keep the connection in use.
    var keepAlive: [UInt8] { get }
}
