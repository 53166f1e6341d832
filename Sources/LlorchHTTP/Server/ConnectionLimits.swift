// How long a connection may take, and how much it may send, before the server gives it up.
// Who keeps these limits: Connection.swift; the number of connections: AcceptPace.swift.
// SPDX-License-Identifier: Apache-2.0

package struct ConnectionLimits: Sendable {
    /// A request line and its headers must be complete this long after their first byte.
    package var headTime = Duration.seconds(30)
    /// A body must be complete this long after the headers.
    package var bodyTime = Duration.seconds(60)
    /// A connection between two requests is closed after this time.
    package var idleTime = Duration.seconds(75)
    /// After the last answer, what the client still sends is thrown away for at most this long.
    package var lingerTime = Duration.seconds(30)
    /// A client that sends nothing for this long after the last answer has got it.
    package var lingerQuiet = Duration.seconds(2)
    /// The same as `lingerQuiet` while the server shuts down.
    package var lingerQuietInShutdown = Duration.milliseconds(250)
    /// Bytes that are thrown away after the last answer.
    package var lingerBytes = 64 << 20
    /// Bytes of a request line and headers, white space included.
    package var headBytes = 64 << 10
    /// Bytes of the request line, or of one header.
    package var fieldBytes = 16 << 10
    package var fields = 200
    /// Bytes of further requests that a client may send before the answer to the first one is complete.
    package var parkedBytes = 256 << 10

    package init() {}
}
