// POST /cancel and its alias /cancel/{job_id}: always 202, for running, finished and unknown ids.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import HummingbirdCore
import LlorchJSON
import LlorchProtocol
import LlorchSystem
import Logging
import NIOCore

/// Asks for the end of a job; the job's own stream tells when the job has ended.
package struct CancelRoute: Sendable {
    let queue: QueueService

    package init(queue: QueueService) {
        self.queue = queue
    }

    package func respond(
        to request: Request, context: RequestContext
    ) async throws -> Response {
        let bytes = try await request.jsonBody(context)
        do throws(WireError) {
            return cancel(try CancelRequest(parsing: bytes).jobID, context)
        } catch {
            throw Refusal(error)
        }
    }

    /// `jobID` comes from the path; the body is not read.
    package func cancel(_ jobID: String, _ context: RequestContext) -> Response {
        queue.cancel(jobID)
        context.logger.info("cancel asked", metadata: ["job_id": "\(jobID)"])
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("status", "cancelling")
        writer.member("job_id", jobID)
        writer.endObject()
        return Response(
            status: .accepted, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: writer.bytes)))
    }
}
