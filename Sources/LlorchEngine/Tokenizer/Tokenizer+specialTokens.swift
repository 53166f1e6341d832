// Text with the end mark spelled out, as data sets have it, and prompts that ask for it. Other prompts never come
// this way: in them the mark is text like any other, so that nobody ends a text by writing it.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

extension Tokenizer {
    /// Tokenizes a text; with `parsingSpecialTokens`, each `<|endoftext|>` is that token and what lies between
    /// two of them is a text of its own, as Hugging Face's tokenizers read it.
    package func tokenize(_ text: String, parsingSpecialTokens: Bool) -> [TokenID] {
        guard parsingSpecialTokens else { return tokenize(text) }
        // The bytes of a String are UTF-8, so the only error cannot occur.
        return (try? tokenize(bytes: text.utf8.span, parsingSpecialTokens: true)) ?? tokenize(text)
    }

    /// Tokenizes UTF-8; with `parsingSpecialTokens`, each `<|endoftext|>` is that token and what lies between
    /// two of them is a text of its own, as Hugging Face's tokenizers read it.
    package func tokenize(
        bytes text: Span<UInt8>, parsingSpecialTokens: Bool
    ) throws(TokenizerError) -> [TokenID] {
        guard parsingSpecialTokens, let endOfText else { return try tokenize(bytes: text) }
        let mark = Array("<|endoftext|>".utf8)
        var ids: [TokenID] = []
        var start = 0
        while start < text.count {
            let end = Self.firstIndex(of: mark, in: text, from: start)
            do {
                ids += try tokenize(bytes: text.extracting(start..<(end ?? text.count)))
            } catch .invalidUTF8(let offset) {
                throw .invalidUTF8(byteOffset: start + offset)
            }
            guard let end else { break }
            ids.append(endOfText)
            start = end + mark.count
        }
        return ids
    }

    /// The mark begins with a byte that it does not repeat, so a mismatch never hides a beginning.
    private static func firstIndex(
        of mark: [UInt8], in text: Span<UInt8>, from start: Int
    ) -> Int? {
        var matched = 0
        for index in start..<text.count {
            matched = text[index] == mark[matched] ? matched + 1 : text[index] == mark[0] ? 1 : 0
            if matched == mark.count { return index + 1 - mark.count }
        }
        return nil
    }
}
