// The JSON of a completion: the members that a whole answer and each chunk of a stream have in common, and usage.
// The choices themselves: ChoiceFramer.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON
import LlorchProtocol

/// What all documents of one answer say.
struct CompletionDocument: Sendable {
    let id: String
    /// Seconds since 1970.
    let created: Int64
    let model: String
    /// Equal fingerprints, seeds and requests make equal answers.
    let fingerprint: String
    /// Whether chunks have the member `usage`, which is null in all but the last one.
    let streamsUsage: Bool

    init(id: String, created: Int64, model: ModelFacts, streamsUsage: Bool) {
        self.id = id
        self.created = created
        self.model = model.name
        fingerprint = "\(model.digest)-\(model.precision)"
        self.streamsUsage = streamsUsage
    }

    /// One frame of a stream; `usage` is that of the whole answer.
    func chunk(choices: [[UInt8]], usage: CompletionUsage? = nil) -> [UInt8] {
        Self.frame(
            document(choices) { writer in
                guard streamsUsage else { return }
                writer.key("usage")
                if let usage { usage.write(to: &writer) } else { writer.null() }
            })
    }

    /// The answer that is no stream.
    func whole(choices: [[UInt8]], usage: CompletionUsage) -> [UInt8] {
        document(choices) { writer in
            writer.key("usage")
            usage.write(to: &writer)
        }
    }

    /// A server-sent event without a name, as OpenAI's clients read them.
    static func frame(_ data: [UInt8]) -> [UInt8] {
        Array("data: ".utf8) + data + Array("\n\n".utf8)
    }

    private func document(
        _ choices: [[UInt8]], usage: (inout JSONWriter) -> Void
    ) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("id", id)
        writer.member("object", "text_completion")
        writer.member("created", created)
        writer.member("model", model)
        writer.key("choices")
        writer.beginArray()
        for choice in choices { writer.rendered(choice) }
        writer.endArray()
        usage(&writer)
        writer.member("system_fingerprint", fingerprint)
        writer.endObject()
        return writer.bytes
    }
}

/// The tokens of a whole answer.
struct CompletionUsage: Sendable, Hashable {
    var promptTokens = 0
    var completionTokens = 0

    /// Adds up the ends of all choices: a prompt counts once, however many choices it has.
    init(_ ends: [TokenEvent.End], copies: Int, echo: Bool) {
        for (choice, end) in ends.enumerated() {
            if choice.isMultiple(of: copies) { promptTokens += end.promptTokens }
            completionTokens += max(0, end.tokensOut - (echo ? end.promptTokens : 0))
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("prompt_tokens", promptTokens)
        writer.member("completion_tokens", completionTokens)
        writer.member("total_tokens", promptTokens + completionTokens)
        writer.endObject()
    }
}
