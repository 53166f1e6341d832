// What is written is compact, minimal in escapes, and reads back as the same value.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON
import TestSupport
import Testing

@Suite("JSONWriter") struct JSONWriterTests {
    private func text(_ write: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        write(&writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test("commas and colons come by themselves")
    func structure() {
        let written = text {
            $0.beginObject()
            $0.member("a", 1)
            $0.key("b")
            $0.beginArray()
            $0.null()
            $0.beginObject()
            $0.endObject()
            $0.bool(true)
            $0.endArray()
            $0.member("c", ["x", "y"])
            $0.member("d", [UInt32.max])
            $0.member("e", 0.5)
            $0.endObject()
        }
        #expect(written == #"{"a":1,"b":[null,{},true],"c":["x","y"],"d":[4294967295],"e":0.5}"#)
    }

    @Test("escapes what must be and nothing else")
    func escapes() {
        let written = text { $0.string("\u{0}\u{1}\u{1F}\u{8}\t\n\u{C}\r\"\\/é\u{7F}\u{2027}😀") }
        #expect(written == #""\u0000\u0001\u001f\b\t\n\f\r\"\\/é\u007f"# + "\u{2027}😀\"")
        #expect(text { $0.string("\u{2028}a\u{2029}\u{202A}") } == "\"\\u2028a\\u2029\u{202A}\"")
    }

    @Test("no character at which a reader of lines cuts stands raw, and no other is escaped")
    func lines() {
        let cutting = [0x2028, 0x2029] + Array(0..<0x20) + Array(UInt32(0x7F)...0x9F)
        let wrong = (UInt32(0)...0x2_FFFF).compactMap(Unicode.Scalar.init).filter { scalar in
            let string = "a\(Character(scalar))b"
            let written = text { $0.string(string) }
            let isRaw = written.unicodeScalars.contains(scalar) && scalar != "\"" && scalar != "\\"
            let isMeant =
                (try? StrictJSON.parse(Array(written.utf8), limits: .http)) == .string(string)
            let mustNotBeRaw = cutting.contains(scalar.value) || scalar == "\"" || scalar == "\\"
            return isRaw == mustNotBeRaw || !isMeant || written.contains(where: \.isNewline)
        }
        #expect(wrong == [])
    }

    @Test("numbers are exact")
    func numbers() {
        #expect(text { $0.integer(UInt64.max) } == "18446744073709551615")
        #expect(text { $0.integer(Int64.min) } == "-9223372036854775808")
        #expect(text { $0.number(0.1) } == "0.1")
        #expect(text { $0.number(Float(0.7)) } == "0.7")
        #expect(text { $0.number(Double.nan) } == "null")
        #expect(text { $0.number(Float.infinity) } == "null")
    }

    @Test("random values read back", arguments: RandomSource.seeds)
    func roundTrip(_ seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        for _ in 0..<500 {
            let value = random.json(depth: 4)
            #expect(try StrictJSON.parse(value.serialized(), limits: .http) == value)
        }
    }

    @Test("random floats and doubles read back bit for bit", arguments: RandomSource.seeds)
    func floatingPoint(_ seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        for _ in 0..<5_000 {
            let double = Double(bitPattern: random.next())
            if double.isFinite {
                let number = try read { $0.number(double) }
                #expect(number.asDouble.bitPattern == double.bitPattern)
            }
            let float = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
            if float.isFinite {
                let number = try read { $0.number(float) }
                #expect(number.asFloat.bitPattern == float.bitPattern)
            }
        }
    }

    private func read(_ write: (inout JSONWriter) -> Void) throws -> JSONNumber {
        var writer = JSONWriter()
        write(&writer)
        return try #require(try StrictJSON.parse(writer.bytes, limits: .wire).asNumber)
    }
}
