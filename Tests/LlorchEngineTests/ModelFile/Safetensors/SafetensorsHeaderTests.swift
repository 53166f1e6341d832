// Headers written by anyone: the sentence for each kind of damage, and many random ones.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

struct SafetensorsHeaderTests {
    @Test func readsALayout() throws {
        let file = safetensors([
            WrittenTensor(
                name: "b", dtype: "F32", shape: [2, 3], bytes: Array(repeating: 0, count: 24)),
            WrittenTensor(name: "mask", dtype: "BOOL", shape: [1, 1, 2, 2], bytes: [1, 0, 1, 1]),
            WrittenTensor(
                name: "scalar", dtype: "I64", shape: [], bytes: Array(repeating: 0, count: 8)),
            WrittenTensor(name: "nothing", dtype: "F16", shape: [0, 5], bytes: []),
        ])
        let tensors = try parse(file).tensors
        #expect(tensors.map(\.name) == ["b", "mask", "scalar", "nothing"])
        #expect(tensors.map(\.shape) == [[2, 3], [1, 1, 2, 2], [], [0, 5]])
        #expect(tensors.map(\.type) == [.float32, .bool, .int64, .float16])
        #expect(tensors.map(\.range.count) == [24, 4, 8, 0])
        #expect(tensors.last?.range.upperBound == file.count)
    }

    @Test(arguments: [
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#,
            "the header is not valid JSON: the document ends inside a value, at byte 53; "
                + "download it again"
        ),
        (
            #"{"a":[[[[[1]]]]]}"#,
            "the header is not valid JSON: arrays and objects are nested deeper than allowed, "
                + "at byte 8; download it again"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":1}"#,
            "the header is not valid JSON: a key stands twice in one object, at byte 54; "
                + "download it again"
        ),
        (#"[]"#, "the header must be a JSON object, found an array"),
        (
            #"{"a":{"dtype":"F32","shape":[2]}}"#,
            "tensor 'a' must have a dtype, a shape and two data_offsets"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4,8]}}"#,
            "tensor 'a' must have a dtype, a shape and two data_offsets"
        ),
        (
            #"{"a":{"dtype":"Q4\u001b","shape":[2],"data_offsets":[0,8]}}"#,
            #"tensor 'a' has the unknown dtype 'Q4\u{1B}'"#
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}}"#,
            "tensor 'a' has 9 dimensions, expected at most 8"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#,
            "tensor 'a' has a shape that is not made of sizes"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}"#,
            "tensor 'a' has a shape that is not made of sizes"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]}}"#,
            "tensor 'a' has a shape that is not made of sizes"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#,
            "tensor 'a' is larger than any file: shape [4294967296, 4294967296]"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
            "tensor 'a' has data_offsets that are not a range"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,"8"]}}"#,
            "tensor 'a' has data_offsets that are not a range"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#,
            "tensor 'a' takes 8 bytes, but shape [3] of F32 needs 12"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#,
            "tensor 'a' ends at byte 12 of the data, but the file has only 8; download it again"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            "tensor 'a' begins at byte 4 of the data, expected 0: it leaves a gap before it"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"#
                + #""b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            "tensor 'b' begins at byte 4 of the data, expected 8: it overlaps the tensor before it"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
            "has 4 bytes after the last tensor, expected none"
        ),
        (#"{}"#, "has 8 bytes after the last tensor, expected none"),
    ])
    func refuses(header: String, sentence: String) {
        let file = safetensors(header: header, data: Array(repeating: 0, count: 8))
        let error = #expect(throws: ModelFileError.self) { try parse(file) }
        #expect(error?.description == "m.safetensors: \(sentence)")
    }

    @Test(
        arguments: [
            ([], "is not a safetensors file: it has 0 bytes and no header; download it again"),
            (
                [0, 0, 0, 0, 0, 0, 0, 0],
                "is not a safetensors file: it has 8 bytes and no header; download it again"
            ),
            (
                Array(repeating: 0xFF, count: 9),
                "is not a safetensors file: its header would have 18446744073709551615 bytes, "
                    + "expected at most 16777216"
            ),
            (
                [3, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x7D],
                "has 10 bytes, but its header alone has 3; download it again"
            ),
            (
                Array("version https://git-lfs.github.com/spec/v1\n".utf8),
                "is a Git LFS pointer, not the file itself; "
                    + "run `git lfs install && git lfs pull` in the repository it came from"
            ),
            (
                Array("GGUF\u{3}\0\0\0".utf8),
                "is a GGUF file, which is a model by itself; name this file as the model, not its "
                    + "directory"
            ),
            (
                Array("<!DOCTYPE html>".utf8),
                "is a web page, not a model file; "
                    + "download it again, from the address of the file itself"
            ),
        ] as [([UInt8], String)])
    func refusesOtherFiles(file: [UInt8], sentence: String) {
        let error = #expect(throws: ModelFileError.self) { try parse(file) }
        #expect(error?.description == "m.safetensors: \(sentence)")
    }

    /// A header as large as allowed, full of the cheapest values, is refused before it costs much.
    @Test func refusesBloat() {
        let count = SafetensorsHeader.maximumBytes - 16
        let header = #"{"a":["# + String(repeating: "1,", count: count / 2) + "1]}"
        let error = #expect(throws: ModelFileError.self) {
            try parse(safetensors(header: header, data: []))
        }
        #expect(error?.problem.contains("more values than allowed") == true)
    }

    /// Flipped bits, changed numbers, exchanged pieces and cuts: an error or a layout that holds.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func survivesMutations(seed: UInt64) throws {
        #if DEBUG
        let rounds = 500
        #else
        let rounds = 30_000
        #endif
        var random = SplitMix(seed: seed)
        var accepted = 0
        for round in 0..<rounds {
            var file = randomFile(&random)
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                HeaderMutation.apply(to: &file, &random)
            }
            guard let header = try? parse(file) else { continue }
            accepted += 1
            var position = 8 + Int(headerLength(of: file))
            for tensor in header.tensors {
                let count = tensor.shape.reduce(tensor.type.byteCount, *)
                try #require(
                    tensor.range == position..<position + count, "seed \(seed), round \(round)")
                position += count
            }
            try #require(position == file.count, "seed \(seed), round \(round)")
        }
        // A quarter is not mutated at all, so that the property does not hold of errors only.
        #expect(accepted > rounds / 8 && accepted < rounds, "\(accepted) of \(rounds)")
    }

    private func randomFile(_ random: inout SplitMix) -> [UInt8] {
        let kinds: [SafetensorsType] = [.float32, .float16, .bfloat16, .bool, .int64]
        let tensors = (0..<Int.random(in: 0...6, using: &random)).map { index in
            let element = kinds[Int.random(in: kinds.indices, using: &random)]
            let shape = (0..<Int.random(in: 0...3, using: &random)).map { _ in
                Int.random(in: 0...4, using: &random)
            }
            let count = shape.reduce(element.byteCount, *)
            return WrittenTensor(
                name: "h.\(index).w", dtype: element.rawValue, shape: shape,
                bytes: Array(repeating: 0, count: count))
        }
        return safetensors(tensors)
    }

    private func headerLength(of file: [UInt8]) -> UInt64 {
        file.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private func parse(_ file: [UInt8]) throws -> SafetensorsHeader {
        let range = try SafetensorsHeader.range(
            prefix: file.span.extracting(first: 8), fileSize: file.count, path: "m.safetensors")
        return try SafetensorsHeader(
            parsing: file.span.extracting(range), fileSize: file.count, path: "m.safetensors")
    }
}

/// One piece of damage to a file that has a header.
private enum HeaderMutation {
    static func apply(to file: inout [UInt8], _ random: inout SplitMix) {
        guard !file.isEmpty else { return }
        let place = Int.random(in: file.indices, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: file[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: replaceDigits(in: &file, near: place, &random)
        case 2: file.removeLast(Int.random(in: 0...file.count, using: &random))
        case 3: file.append(contentsOf: file[..<place])
        case 4: file[place] = hostileBytes[Int.random(in: hostileBytes.indices, using: &random)]
        default: file.remove(at: place)
        }
    }

    private static let hostileBytes = Array(#"{}[]:,"\0-9.eE"#.utf8) + [0, 0x7F, 0x80, 0xFF]

    private static let hostileNumbers = [
        "0", "-1", "1", "4", "8", "1e3", "2147483648", "4294967296", "9223372036854775807",
        "9223372036854775808", "18446744073709551615", "18446744073709551616", "1.5",
    ]

    /// Puts another number where the next digits stand.
    private static func replaceDigits(
        in file: inout [UInt8], near place: Int, _ random: inout SplitMix
    ) {
        func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
        guard let start = file[place...].firstIndex(where: isDigit) else { return }
        let end = file[start...].firstIndex { !isDigit($0) } ?? file.endIndex
        let number = hostileNumbers[Int.random(in: hostileNumbers.indices, using: &random)]
        file.replaceSubrange(start..<end, with: Array(number.utf8))
        // The length in front follows half of the time, so that the damage is seen at all.
        if file.count > 8, Bool.random(using: &random) {
            var length = file.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            length = length &+ UInt64(truncatingIfNeeded: number.utf8.count - (end - start))
            file.replaceSubrange(0..<8, with: littleEndianBytes(length, count: 8))
        }
    }
}
