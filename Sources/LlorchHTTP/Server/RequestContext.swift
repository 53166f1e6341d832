// What a route knows of its request beside the request itself.
// SPDX-License-Identifier: Apache-2.0

package import Logging
package import NIOCore

/// The connection of one request, and the name under which the log speaks of the request.
package struct RequestContext: Sendable {
    package let channel: any Channel
    /// Names the correlation id in each of its lines.
    package let logger: Logger
    /// From the request where it is valid, else made here.
    package let correlationID: String

    package init(channel: any Channel, logger: Logger, correlationID: String) {
        self.channel = channel
        var logger = logger
        logger[metadataKey: "correlation_id"] = "\(correlationID)"
        self.logger = logger
        self.correlationID = correlationID
    }
}
