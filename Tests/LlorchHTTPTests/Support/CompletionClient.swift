// Requests below /v1/ and what comes back, as OpenAI's clients see it: documents, chunks and errors.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import LlorchJSON
import NIOCore
import Testing

/// One answer of the paths below `/v1/`.
struct CompletionAnswer {
    let response: PlainResponse
    let text: String

    init(_ response: PlainResponse) {
        self.response = response
        text = String(buffer: response.body)
    }

    var status: Int { response.status.code }

    func header(_ name: String) -> String? { Self.header(name, of: response.headers) }

    static func header(_ name: String, of headers: HTTPFields) -> String? {
        HTTPField.Name(name).flatMap { headers[$0] }
    }

    /// The body as one object.
    var object: JSONObject {
        get throws {
            let json = try StrictJSON.parse(Array(text.utf8), limits: .http)
            return try #require(json.asObject, "\(text)")
        }
    }

    /// The member `error`, whose shape is checked.
    var error: JSONObject {
        get throws {
            let object = try object
            #expect(object.members.map(\.key) == ["error"])
            let error = try #require(object["error"]?.asObject, "\(text)")
            #expect(error.members.map(\.key) == ["message", "type", "param", "code"])
            #expect(response.headers[.contentType] == "application/json")
            return error
        }
    }

    /// The JSON of all frames of a stream but `[DONE]`, which must come last and once.
    func chunks(isDone: Bool = true) throws -> [JSONObject] {
        #expect(response.headers[.contentType] == "text/event-stream")
        var frames = text.split(separator: "\n\n").filter { !$0.hasPrefix(":") }
        #expect(text.hasSuffix("\n\n"))
        if isDone { #expect(frames.popLast() == "data: [DONE]", "\(text)") }
        return try frames.map { frame in
            let data = try #require(frame.hasPrefix("data: ") ? frame.dropFirst(6) : nil)
            let json = try StrictJSON.parse(Array(data.utf8), limits: .http)
            return try #require(json.asObject, "\(frame)")
        }
    }
}

extension Harness {
    /// In HTTP/1.0, so that a stream comes without the lengths of its pieces.
    func send(
        _ method: String = "POST", _ path: String, _ body: String = "",
        headers: [String] = ["Content-Type: application/json"]
    ) async throws -> CompletionAnswer {
        let head =
            ["\(method) \(path) HTTP/1.0", "Host: localhost", "Content-Length: \(body.utf8.count)"]
            + headers
        let request = head.joined(separator: "\r\n") + "\r\n\r\n" + body
        let answer = try await PlainClient(port: port).exchange(ByteBuffer(string: request))
        return CompletionAnswer(try PlainClient.parse(answer))
    }

    /// Asks for a completion; `members` come behind the model.
    func complete(_ members: String) async throws -> CompletionAnswer {
        try await send("POST", "/v1/completions", #"{"model":"scripted",\#(members)}"#)
    }
}

extension JSONObject {
    var choices: [JSONObject] { self["choices"]?.asArray?.compactMap(\.asObject) ?? [] }
    var text: String? { self["text"]?.asString }
    var index: Int? { self["index"]?.asNumber?.asUInt64.map { Int($0) } }
    /// A member as compact JSON.
    func json(_ key: String) -> String? {
        self[key].map { String(decoding: $0.serialized(), as: UTF8.self) }
    }
}
