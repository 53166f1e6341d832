// GET /openapi.json: the description of this interface for programs. The text is openapi.json beside this file, which
// the build puts into the program; none of it is made at run time. The same for people: docs/http-api.md.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import HummingbirdCore
import NIOCore

/// An OpenAPI 3.1 document of every route.
package struct DescriptionRoute: Sendable {
    private let document = ByteBuffer(bytes: PackageResources.openapi_json)

    package init() {}

    package func respond() -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: document))
    }
}
