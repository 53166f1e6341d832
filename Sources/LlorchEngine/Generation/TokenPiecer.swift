// Cuts a running answer into pieces of text and the token ids they cover: the `token` events.
// Joins StreamingDetokenizer and StopSequenceMatcher. Choosing tokens: Sampling/Sampler.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// Tokens in, pieces out.
///
/// The law of the pieces: whoever holds the pieces of the first n ids holds exactly the whole
/// characters that the bytes of these n ids spell, up to the stop sequence if they end in one.
/// A token goes out only when none of its text can belong to a stop sequence any more, and then with
/// all of its text; a character that a token leaves unfinished belongs to the token that finishes it.
/// So the state after n ids depends on the ids alone, and any worker can go on from them.
///
/// Every id is in exactly one piece, in order. Text is empty only in a last piece: one of tokens
/// without a whole character, or one whose text was all stop sequence.
package struct TokenPiecer: Sendable {
    private var detokenizer: StreamingDetokenizer
    private var matcher: StopSequenceMatcher
    private let stopSequences: [String]
    /// Tokens not given out yet, and where the text of each ends in `heldText`.
    private var heldTokens: [(id: TokenID, end: Int)] = []
    private var heldText: [UInt8] = []
    /// Ids given out, resumed ones included: the index of the next piece.
    package private(set) var index = 0
    /// The stop sequence that ended the text; no token may follow it.
    package private(set) var matchedStop: String?

    package init(tokenizer: Tokenizer, stopSequences: [String]) {
        detokenizer = StreamingDetokenizer(tokenizer)
        matcher = StopSequenceMatcher(stopSequences)
        self.stopSequences = stopSequences
    }

    /// Brings the state to where it is after `ids`, whose text the reader has already.
    ///
    /// `matchedStop` is set when they complete a stop sequence. The first `promptCount` of them are tokens of an
    /// echoed prompt.
    /// - Precondition: nothing was appended before.
    package mutating func resume(
        after ids: some Sequence<TokenID>, promptCount: Int = 0
    ) throws(TokenizerError) {
        precondition(index == 0 && heldTokens.isEmpty, "resumed after \(index) ids")
        for id in ids {
            if matchedStop == nil {
                _ = try take(id, isPrompt: index < promptCount)
            } else {
                // Checked all the same: an id that is no token is refused wherever it stands.
                _ = try detokenizer.tokenizer.bytes(of: id)
            }
            heldTokens.removeAll(keepingCapacity: true)
            heldText.removeAll(keepingCapacity: true)
            index += 1
        }
    }

    /// Takes the next token; returns the piece that it makes safe to show, if any.
    ///
    /// Time is in proportion to the token's bytes and the text held, which is shorter than the
    /// longest stop sequence and the token it ends in. No stop sequence begins in a token of the prompt.
    /// - Precondition: `matchedStop` is nil.
    package mutating func append(
        _ token: TokenID, isPrompt: Bool = false
    ) throws(TokenizerError) -> TokenEvent.TokenPiece? {
        precondition(matchedStop == nil, "token \(token) after a stop sequence")
        if let beginning = try take(token, isPrompt: isPrompt) {
            return piece(tokenCount: heldTokens.count, textCount: beginning)
        }
        let safe = heldText.count - min(matcher.possibleLength, heldText.count)
        guard safe > 0 else { return nil }
        let tokenCount = heldTokens.prefix { $0.end <= safe }.count
        guard tokenCount > 0, heldTokens[tokenCount - 1].end > 0 else { return nil }
        return piece(tokenCount: tokenCount, textCount: heldTokens[tokenCount - 1].end)
    }

    /// Ends the text; returns nil when every id was given out before.
    ///
    /// What was held back in case of a stop sequence goes out, an unfinished character does not.
    package mutating func finish() -> TokenEvent.TokenPiece? {
        detokenizer.finish()
        return heldTokens.isEmpty
            ? nil : piece(tokenCount: heldTokens.count, textCount: heldText.count)
    }

    /// Holds `token` and its text; when that completes a stop sequence, returns where in `heldText`
    /// the sequence begins.
    private mutating func take(_ token: TokenID, isPrompt: Bool) throws(TokenizerError) -> Int? {
        var position = heldText.count
        try detokenizer.append(token, to: &heldText)
        heldTokens.append((token, heldText.count))
        if isPrompt { return nil }
        while position < heldText.count {
            let match = matcher.append(heldText[position])
            position += 1
            if let match {
                matchedStop = stopSequences[match.sequence]
                // Below 0 only after resuming from ids no piece ended with.
                return max(0, position - match.length)
            }
        }
        return nil
    }

    private mutating func piece(tokenCount: Int, textCount: Int) -> TokenEvent.TokenPiece {
        let piece = TokenEvent.TokenPiece(
            text: String(decoding: heldText[..<textCount], as: UTF8.self),
            ids: heldTokens[..<tokenCount].map(\.id), index: index)
        index += tokenCount
        heldTokens.removeFirst(tokenCount)
        if heldTokens.isEmpty {
            heldText.removeAll(keepingCapacity: true)
        } else {
            heldText.removeFirst(textCount)
            for held in heldTokens.indices {
                heldTokens[held].end -= textCount
            }
        }
        return piece
    }
}
