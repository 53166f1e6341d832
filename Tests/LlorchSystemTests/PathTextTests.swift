// Names of files as text: every byte comes back, text stays as it is, and files are found by such names.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchSystem
import TestSupport
import Testing

@Suite struct PathTextTests {
    @Test(
        arguments: [
            [], [0x61], Array("héllo 😀".utf8), [0xE9], [0x63, 0xE9, 0x20], [0xC3], [0xFF, 0xFE],
            [0xF0, 0x9F, 0x98],
            // The first and the last of the characters that stand for bytes.
            [0xF4, 0x8F, 0xBE, 0x80], [0xF4, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80],
            [0xED, 0xA0, 0x80],
        ] as [[UInt8]])
    func everyByteComesBack(bytes: [UInt8]) {
        #expect(PathText.bytes(PathText.text(bytes)) == bytes)
    }

    @Test(arguments: UInt64(0)..<50) func randomBytesComeBack(seed: UInt64) {
        var generator = SplitMix(seed: seed)
        let pieces: [[UInt8]] = [
            [0xF4, 0x8F], [0xBE], [0xBF, 0x80], Array("é".utf8), Array("a".utf8), [0xF0],
            [0xE2, 0x82],
        ]
        let bytes = (0..<40).flatMap { _ in pieces[Int(generator.next() % UInt64(pieces.count))] }
        #expect(PathText.bytes(PathText.text(bytes)) == bytes, "seed \(seed)")
    }

    @Test func textStaysAsItIs() {
        for text in ["", "plain", "é", "😀", "\u{10FF7F}", "e\u{301}"] {
            #expect(
                PathText.text(Array(text.utf8)).unicodeScalars.elementsEqual(text.unicodeScalars))
            #expect(PathText.isPlain(text))
            #expect(PathText.shown(text) == text)
        }
        let raw = PathText.text([0x63, 0xE9])
        #expect(!PathText.isPlain(raw))
        #expect(PathText.shown(raw) == #"c\xE9"#)
    }

    @Test func filesAreFoundByTheirBytes() throws {
        let folder = try TemporaryDirectory()
        let name = PathText.text([0x66, 0xE9, 0xFF])
        let path = "\(folder.path)/\(name)"
        try SmallFile.replace(path, with: [1, 2])
        #expect(try Directory.names(in: folder.path) == [name])
        #expect(try PathKind(path: path) == .file)
        #expect(try RegularFile.contents(of: path, limit: 2) == [1, 2])
        SmallFile.remove(path)
        #expect(try PathKind(path: path) == .nothing)
    }
}
