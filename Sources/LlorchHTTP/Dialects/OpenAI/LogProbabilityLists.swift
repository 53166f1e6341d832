// `logprobs` of a choice, in the form of OpenAI's completions: four lists with one entry for each token.
// What the numbers are: docs/openai-api.md.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON
import LlorchProtocol

/// The lists as far as they go, written already; where a token begins is counted over all lists of a choice.
struct LogProbabilityLists {
    private var tokens = Self.list
    private var chosen = Self.list
    private var top = Self.list
    private var offsets = Self.list
    private var characters = CharacterCount()
    /// With no alternatives asked for, `top_logprobs` is null.
    private let hasTop: Bool

    private static var list: JSONWriter {
        var writer = JSONWriter()
        writer.beginArray()
        return writer
    }

    /// `alternatives` is how many the request asked for.
    init(alternatives: Int) {
        hasTop = alternatives > 0
    }

    /// Memory that the lists take.
    var byteCount: Int {
        tokens.bytes.count + chosen.bytes.count + top.bytes.count + offsets.bytes.count
    }

    mutating func append(_ token: TokenLogProbability) {
        let text = TokenSpelling.text(of: token.bytes)
        tokens.string(text)
        offsets.integer(characters.whole)
        characters.append(token.bytes)
        guard let logProbability = token.logProbability else {
            // Nothing stands before the first token of a prompt, so nothing is known of it.
            chosen.null()
            top.null()
            return
        }
        chosen.number(logProbability)
        guard hasTop else { return }
        var names: Set<[UInt8]> = []
        top.beginObject()
        for alternative in token.top {
            let name = TokenSpelling.text(of: alternative.bytes)
            // Two tokens can have one spelling; the more likely one comes first.
            if names.insert(Array(name.utf8)).inserted {
                top.member(name, alternative.logProbability)
            }
        }
        if !names.contains(Array(text.utf8)) { top.member(text, logProbability) }
        top.endObject()
    }

    /// The value of `logprobs`; the lists are empty afterwards.
    mutating func take() -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("tokens")
        writer.rendered(Self.end(&tokens))
        writer.key("token_logprobs")
        writer.rendered(Self.end(&chosen))
        writer.key("top_logprobs")
        let top = Self.end(&top)
        if hasTop { writer.rendered(top) } else { writer.null() }
        writer.key("text_offset")
        writer.rendered(Self.end(&offsets))
        writer.endObject()
        return writer.bytes
    }

    private static func end(_ list: inout JSONWriter) -> [UInt8] {
        list.endArray()
        defer { list = Self.list }
        return list.bytes
    }
}
