// Which texts a log takes as they are, and what becomes of the others.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem
import Testing

@Suite struct LogTextTests {
    @Test(arguments: ["", "job-7", "a b", "jöb", "作業", "a=b", "[x]", "😀", "/run/llorch/w1.state"])
    func harmlessTextStaysAsItIs(text: String) {
        #expect(LogText.safe(text) == text)
    }

    @Test(arguments: [
        ("a\nb", #"a\nb"#), ("a\r\nb", #"a\r\nb"#), ("\t", #"\t"#), ("\u{1B}[2J", #"\u{1B}[2J"#),
        ("\u{2028}\u{2029}\u{85}", #"\u{2028}\u{2029}\u{85}"#), ("\u{202E}", #"\u{202E}"#),
        ("\u{200D}", #"\u{200D}"#), ("\u{A0}", #"\u{A0}"#), ("\u{0}", #"\u{0}"#),
        ("\u{E000}", #"\u{E000}"#), (#"\n"#, #"\\n"#), (#"a"b'c"#, #"a\"b\'c"#),
    ])
    func theRestIsEscaped(text: String, escaped: String) {
        #expect(LogText.safe(text) == escaped)
    }

    @Test func messagesKeepTheirQuotes() {
        #expect(LogText.safe(#"a"b'c\"#, escapingQuotes: false) == #"a"b'c\\"#)
    }

    @Test func longTextIsCut() {
        #expect(LogText.safe("abcd", length: 4) == "abcd")
        #expect(LogText.safe("abcde", length: 4) == "abcd…")
        // One character of many scalars is not one of a line's characters.
        let tower = "a" + String(repeating: "\u{301}", count: 1_000)
        #expect(LogText.safe(tower, length: 4).unicodeScalars.count == 5)
    }
}
