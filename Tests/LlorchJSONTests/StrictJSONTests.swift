// What the reader takes and refuses, in the manner of JSONTestSuite: y accepted, n refused.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON
import Testing

private let limits = StrictJSON.Limits.file(maximumBytes: 1 << 22)

private func parse(
    _ text: String, limits: StrictJSON.Limits = limits
) throws(JSONSyntaxError) -> JSONValue {
    try StrictJSON.parse(Array(text.utf8), limits: limits)
}

@Suite("StrictJSON") struct StrictJSONTests {
    @Test(
        "accepts every form of RFC 8259",
        arguments: [
            "null", "true", "false", "0", "-0", "\"\"", "[]", "{}", " [ ] ", "\t\n\r {\n} ",
            "[null, 1, \"1\", {}]", "[1,2]", "[[[[]]]]", "-1", "123", "0.1", "-0.5e-10", "1E5",
            "1e+5", "1e-400", "123.456e78", "1.7976931348623157e308", "-0.0",
            "100000000000000000000000000", #"{"a":1,"b":2}"#, #"{"":0}"#, #"{"a":{"a":1}}"#,
            #""\"\\\/\b\f\n\r\t""#, #""\u00e9\u00E9""#, #""\ud834\udd1e""#, #""\uFFFF""#,
            #""\u2028""#, "\"\u{2028}\u{7F}\u{10FFFF}\"", #""\u0000""#, "\"\u{FEFF}\"",
            "\"e\u{301}\"", "{\"\u{E9}\":1,\"e\u{301}\":2}",
        ])
    func accepts(_ text: String) throws {
        let value = try parse(text)
        #expect(try StrictJSON.parse(value.serialized(), limits: limits) == value)
    }

    @Test(
        "refuses everything else, and says why",
        arguments: [
            ("", .empty), ("  ", .empty), ("\u{FEFF}1", .byteOrderMark),
            ("1 2", .trailingBytes), ("{}}", .trailingBytes), ("[],", .trailingBytes),
            ("null\u{0}", .trailingBytes), ("1//", .trailingBytes), ("0x1", .trailingBytes),
            ("[", .unexpectedEnd), ("{", .unexpectedEnd), ("[1", .unexpectedEnd),
            ("[1,", .unexpectedEnd), ("{\"a\"", .unexpectedEnd), ("{\"a\":", .unexpectedEnd),
            ("{\"a\":1", .unexpectedEnd), ("{\"a\":1,", .unexpectedEnd), ("\"", .unexpectedEnd),
            ("\"a", .unexpectedEnd), ("\"\\", .unexpectedEnd), ("\"\\u12", .unexpectedEnd),
            ("tru", .unexpectedEnd), ("[1,]", .unexpectedByte), ("[,1]", .unexpectedByte),
            ("[1 2]", .unexpectedByte), ("{\"a\":1,}", .unexpectedByte),
            ("{a:1}", .unexpectedByte), ("{1:1}", .unexpectedByte), ("{\"a\" 1}", .unexpectedByte),
            ("{'a':1}", .unexpectedByte), ("[}", .unexpectedByte), ("nul1", .unexpectedByte),
            ("True", .unexpectedByte), ("NaN", .unexpectedByte), ("Infinity", .unexpectedByte),
            ("+1", .unexpectedByte), (".5", .unexpectedByte), ("/**/1", .unexpectedByte),
            ("\u{A0}1", .unexpectedByte), ("\u{C}1", .unexpectedByte), ("'a'", .unexpectedByte),
            ("-", .invalidNumber), ("01", .invalidNumber), ("-01", .invalidNumber),
            ("00", .invalidNumber), ("1.", .invalidNumber), ("1.e5", .invalidNumber),
            ("1e", .invalidNumber), ("1e+", .invalidNumber), ("-Infinity", .invalidNumber),
            ("-a", .invalidNumber), ("1.-5", .invalidNumber), ("1e400", .numberOutOfRange),
            ("-1e400", .numberOutOfRange), ("1e99999999999999999999", .numberOutOfRange),
            ("\"\n\"", .controlCharacter), ("\"\u{0}\"", .controlCharacter),
            ("\"\u{1F}\"", .controlCharacter), ("\"\\n\t\"", .controlCharacter),
            (#""\a""#, .invalidEscape), (#""\x41""#, .invalidEscape), (#""\'""#, .invalidEscape),
            (#""\U0041""#, .invalidEscape), (#""\u00G0""#, .invalidEscape),
            (#""\u+123""#, .invalidEscape), (#""\u 123""#, .invalidEscape),
            ("\"\\\u{E9}\"", .invalidEscape), (#""\ud800""#, .loneSurrogate),
            (#""\udc00""#, .loneSurrogate), (#""\ud800\ud800""#, .loneSurrogate),
            (#""\ud800\n""#, .loneSurrogate), (#""\ud800x""#, .loneSurrogate),
            (#""\udc00\ud800""#, .loneSurrogate), (#""\ud800\u0041""#, .loneSurrogate),
            (#""\udc00\udc00""#, .loneSurrogate), (#""\ud800\ue000""#, .loneSurrogate),
            (#"{"a":1,"a":1}"#, .duplicateKey), (#"[{"a":1,"\u0061":2}]"#, .duplicateKey),
        ] as [(String, JSONSyntaxError.Kind)])
    func refuses(_ text: String, _ kind: JSONSyntaxError.Kind) throws {
        let error = try #require(throws: JSONSyntaxError.self) { try parse(text) }
        #expect(error.kind == kind)
        #expect((0...text.utf8.count).contains(error.offset))
    }

    @Test(
        "refuses strings that are not UTF-8",
        arguments: [
            [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xE0, 0x80, 0x80], [0xE2, 0x82],
            [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xF0, 0x80, 0x80, 0x80],
            [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xFE],
        ] as [[UInt8]])
    func refusesInvalidUTF8(_ bytes: [UInt8]) {
        let quoted = [0x22, 0x61] + bytes + [0x62, 0x22]
        #expect(throws: JSONSyntaxError(.invalidUTF8, at: 2)) {
            try StrictJSON.parse(quoted, limits: limits)
        }
        let escaped = [0x22, 0x5C, 0x6E] + bytes + [0x22]
        #expect(throws: JSONSyntaxError(.invalidUTF8, at: 1)) {
            try StrictJSON.parse(escaped, limits: limits)
        }
    }

    @Test("a lead byte before an escape does not swallow it")
    func leadByteBeforeEscape() {
        #expect(throws: JSONSyntaxError.self) {
            try StrictJSON.parse([0x22, 0xC3, 0x5C, 0x22, 0x22], limits: limits)
        }
    }

    @Test("UTF-16 and UTF-32 are refused")
    func otherEncodings() {
        for bytes: [UInt8] in [
            [0xFF, 0xFE, 0x31, 0], [0x31, 0], [0, 0x31], [0x31, 0, 0, 0], [0xFE, 0xFF, 0, 0x31],
        ] {
            #expect(throws: JSONSyntaxError.self) { try StrictJSON.parse(bytes, limits: limits) }
        }
    }

    @Test("syntax errors come before duplicate keys")
    func syntaxFirst() throws {
        let error = try #require(throws: JSONSyntaxError.self) { try parse(#"{"a":1,"a":2"#) }
        #expect(error.kind == .unexpectedEnd)
        #expect(error.isSyntax)
        #expect(!JSONSyntaxError(.duplicateKey, at: 0).isSyntax)
    }

    @Test("duplicates are found among few and many keys", arguments: [2, 7, 8, 9, 10, 100, 5000])
    func duplicates(_ count: Int) throws {
        let members = (0..<count).map { "\"k\($0)\":\($0)" }
        let object = try #require(try parse("{\(members.joined(separator: ","))}").asObject)
        #expect(object.count == count)
        for index in 0..<count {
            #expect(object["k\(index)"] == .number(JSONNumber(index)))
        }
        #expect(object["k\(count)"] == nil)
        #expect(object.members.map(\.key) == (0..<count).map { "k\($0)" })
        for index in [0, count / 2, count - 1] {
            let text = "{\(members.joined(separator: ",")),\"k\(index)\":0}"
            #expect(
                try #require(throws: JSONSyntaxError.self) { try parse(text) }.kind
                    == .duplicateKey)
        }
    }

    @Test("strings come out as meant")
    func strings() throws {
        #expect(try parse(#""\ud83d\ude00\u00e9\/\u2028""#) == .string("😀é/\u{2028}"))
        #expect(try parse("\"e\u{301}\"") != parse("\"\u{E9}\""))
        #expect(try parse(#""a\u0000""#, limits: .wire) == .string("a\0"))
        #expect(try parse(#""\u0000""#, limits: .http) == .string("\0"))
        #expect(throws: JSONSyntaxError(.controlCharacter, at: 1)) {
            try parse("\"\0\"", limits: .http)
        }
    }
}

@Suite("JSONNumber") struct JSONNumberTests {
    private func number(_ text: String) throws -> JSONNumber {
        try #require(try parse(text).asNumber)
    }

    @Test("integers are exact to 64 bits")
    func integers() throws {
        #expect(try number("18446744073709551615").asUInt64 == .max)
        #expect(try number("18446744073709551616").asUInt64 == nil)
        #expect(try number("-9223372036854775808").asInt64 == .min)
        #expect(try number("-9223372036854775809").asInt64 == nil)
        #expect(try number("9007199254740993").asUInt64 == 9_007_199_254_740_993)
        for text in ["10.0", "1e1", "1.5", "-1", "-0", "0.0"] {
            #expect(try number(text).asUInt64 == nil, "\(text)")
        }
        #expect(try number("10.0").asInt64 == nil)
        #expect(try number("10.0").asDouble == 10)
    }

    @Test(
        "narrows to a float as the contract's table says",
        arguments: [
            ("2.0000001", 2), ("2.0000002", Float(2).nextUp), ("1.00000005", 1),
            ("1.0000001", Float(1).nextUp), ("-0.0", -0.0), ("-0", -0.0), ("-1e-46", -0.0),
            ("1e39", .infinity), ("-1e39", -.infinity), ("16777217", 16_777_216),
            ("9007199791611905", 9_007_200_328_482_816),
        ] as [(String, Float)])
    func narrows(_ text: String, _ expected: Float) throws {
        #expect(try number(text).asFloat.bitPattern == expected.bitPattern)
    }

    @Test("doubles round correctly")
    func doubles() throws {
        #expect(try number("0.1").asDouble == 0.1)
        #expect(try number("5e-324").asDouble == .leastNonzeroMagnitude)
        #expect(
            try number("2.2250738585072011e-308").asDouble == Double.leastNormalMagnitude.nextDown)
        #expect(try number("0.5000000000000001110223024625156540").asDouble == 0.5000000000000001)
    }
}

@Suite("StrictJSON limits") struct StrictJSONLimitTests {
    @Test("depth bombs end at the limit")
    func depth() throws {
        for (open, close) in [("[", "]"), (#"{"a":"#, "}")] {
            let core = open == "[" ? "" : "1"
            for (limits, depth) in [(StrictJSON.Limits.wire, 8), (.http, 64)] {
                let allowed =
                    String(repeating: open, count: depth) + core
                    + String(repeating: close, count: depth)
                _ = try parse(allowed, limits: limits)
                let error = try #require(throws: JSONSyntaxError.self) {
                    try parse(open + allowed + close, limits: limits)
                }
                #expect(error.kind == .tooDeep)
            }
            let bomb = String(repeating: open, count: 100_000)
            #expect(try #require(throws: JSONSyntaxError.self) { try parse(bomb) }.kind == .tooDeep)
        }
    }

    @Test("size and number of values have limits")
    func size() throws {
        let limits = StrictJSON.Limits(maximumBytes: 9, maximumDepth: 1, maximumValues: 3)
        _ = try parse("[1,2]", limits: limits)
        _ = try parse("         1".suffix(9).description, limits: limits)
        for (text, kind) in [
            ("[1,2,3]", .tooManyValues), ("         1", .tooLarge),
        ] as [(String, JSONSyntaxError.Kind)] {
            let error = try #require(throws: JSONSyntaxError.self) {
                try parse(text, limits: limits)
            }
            #expect(error.kind == kind)
        }
    }

    /// A quadratic step would take far longer than the limit at this size; linear time is a fraction of a second.
    @Test(
        "a megabyte of anything takes linear time", .timeLimit(.minutes(5)),
        arguments: [
            ("", "1", ""), ("0.", "1", ""), ("1e-", "9", ""), ("\"", "x", "\""),
            ("\"", "\\n", "\""), ("\"", "\u{E9}", "\""), ("\"", "\\ud83d\\ude00", "\""),
            ("[1", ",1", "]"), ("[1", ",[]", "]"), ("{\"a\":1", ",\"a\":1", "}"), ("", " ", ""),
            ("[1", ",\"e\u{301}\u{327}\"", "]"), ("{\"", "\u{327}\u{301}", "\":1}"),
        ])
    func linear(_ head: String, _ body: String, _ tail: String) {
        let count = (1 << 20) / body.utf8.count
        let document = Array((head + String(repeating: body, count: count) + tail).utf8)
        _ = try? StrictJSON.parse(document, limits: limits)
    }

    /// Comparing every key with every other would take far longer than the limit.
    @Test("many different keys take linear time", .timeLimit(.minutes(5)))
    func manyKeys() throws {
        let members = (0..<1_000_000).map { "\"k\($0)\":0" }.joined(separator: ",")
        let value = try parse("{\(members)}", limits: .file(maximumBytes: 1 << 24))
        #expect(value.asObject?.count == 1_000_000)
    }
}
