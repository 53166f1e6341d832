// POST /cancel and its alias /cancel/{job_id}: always 202, for running, finished and unknown ids.
// SPDX-License-Identifier: Apache-2.0

package import Hummingbird
import LlorchJSON
import LlorchLog
import LlorchProtocol
import LlorchSystem
import Logging
import NIOCore

/// Asks for the end of a job; the job's own stream tells when it has ended.
package struct CancelRoute: Sendable {
    let queue: QueueService

    package func respond(to request: Request, context: ShimContext) async throws -> Response {
        let bytes = try await request.jsonBody()
        do throws(WireError) {
            return cancel(try CancelRequest(parsing: bytes).jobID, context)
        } catch {
            throw Refusal(error)
        }
    }

    /// `jobID` comes from the path; the body is not looked at.
    package func cancel(_ jobID: String, _ context: ShimContext) -> Response {
        queue.cancel(jobID)
        context.logger.info("cancel asked", metadata: ["job_id": LogText.metadata(jobID)])
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
