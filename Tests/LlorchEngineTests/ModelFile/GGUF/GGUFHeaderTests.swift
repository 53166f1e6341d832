// GGUF headers written by anyone: what is read, the sentence for each kind of damage, many random ones.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

struct GGUFHeaderTests {
    @Test(arguments: [2, 3] as [UInt32])
    func readsALayout(version: UInt32) throws {
        var file = WrittenGGUF()
        file.version = version
        file.tensors = [
            WrittenGGUFTensor("b", [3, 2], floats: [1, 2, 3, 4, 5, 6]),
            WrittenGGUFTensor("q", [64], type: 8, bytes: Array(repeating: 1, count: 68)),
            WrittenGGUFTensor("t", [1, 2, 1, 3], type: 24, bytes: Array(repeating: 1, count: 6)),
        ]
        let header = try parse(file)
        #expect(header.version == Int(version))
        #expect(header.tensors.map(\.name) == ["b", "q", "t"])
        #expect(header.tensors.map(\.shape) == [[2, 3], [64], [3, 1, 2, 1]])
        #expect(header.tensors.map(\.type) == [.float32, .q80, .int8])
        #expect(header.tensors.map(\.range.count) == [24, 68, 6])
        #expect(header.tensors.allSatisfy { $0.range.lowerBound % 32 == 0 })
        for (tensor, written) in zip(header.tensors, file.tensors) {
            #expect(Array(file.bytes[tensor.range]) == written.bytes)
        }
    }

    @Test func readsValuesOfEveryType() throws {
        var file = WrittenGGUF()
        file["u8"] = .uint8(200)
        file["i8"] = .int8(-3)
        file["u16"] = .uint16(60_000)
        file["i16"] = .int16(-300)
        file["u32"] = .uint32(4_000_000_000)
        file["i32"] = .int32(-70_000)
        file["u64"] = .uint64(1 << 40)
        file["i64"] = .int64(-(1 << 40))
        file["f32"] = .float32(1.5)
        file["f64"] = .float64(-2.25)
        file["no"] = .bool(0)
        file["yes"] = .bool(1)
        file["text"] = .string("日本")
        file["texts"] = .strings(["a", "", "Ġb"])
        file["numbers"] = .array(5, [.int32(1), .int32(-2)])
        file["nested"] = .array(
            9, [.array(8, [.string("x")]), .array(9, [.array(0, [.uint8(1)])])])
        file["last"] = .uint32(7)
        let metadata = try parse(file).metadata
        #expect(metadata.count == 17)
        #expect(try metadata.integer("u8") == 200)
        #expect(try metadata.integer("i8") == -3)
        #expect(try metadata.integer("u16") == 60_000)
        #expect(try metadata.integer("i16") == -300)
        #expect(try metadata.integer("u32") == 4_000_000_000)
        #expect(try metadata.integer("i32") == -70_000)
        #expect(try metadata.integer("u64") == 1 << 40)
        #expect(try metadata.integer("i64") == -(1 << 40))
        #expect(try metadata.float("f32") == 1.5)
        #expect(try metadata.float("f64") == -2.25)
        #expect(try metadata.flag("no") == false)
        #expect(try metadata.flag("yes") == true)
        #expect(try metadata.text("text") == "日本")
        #expect(try metadata.texts("texts", maximumCount: 3) == ["a", "", "Ġb"])
        #expect(try metadata.integers("numbers", maximumCount: 2) == [1, -2])
        #expect(try metadata.integer("last") == 7)
        #expect(try metadata.integer("absent") == nil)
        #expect(metadata.has("nested"))
    }

    @Test func saysWhichTypeItExpected() throws {
        var file = WrittenGGUF()
        file["a"] = .uint64(.max)
        file["b"] = .string("1")
        file["c"] = .strings(["x", "y"])
        file["d"] = .array(6, [.float32(1)])
        file["e"] = .bytes([0xFF])
        file["f"] = .array(8, [.bytes([0xC0])])
        let metadata = try parse(file).metadata
        let again = "; convert the model again with llama.cpp's convert_hf_to_gguf.py"
        func sentence(_ body: () throws -> Void) -> String? {
            #expect(throws: ModelFileError.self, performing: body)?.description
        }
        #expect(
            sentence { _ = try metadata.integer("a") }
                == "m.gguf: a must be an integer, found uint64" + again)
        #expect(
            sentence { _ = try metadata.integer("b") }
                == "m.gguf: b must be an integer, found string" + again)
        #expect(
            sentence { _ = try metadata.flag("b") } == "m.gguf: b must be a bool, found string"
                + again)
        #expect(
            sentence { _ = try metadata.text("c") } == "m.gguf: c must be a string, found array"
                + again)
        #expect(
            sentence { _ = try metadata.texts("c", maximumCount: 1) }
                == "m.gguf: c has 2 elements, expected at most 1")
        #expect(
            sentence { _ = try metadata.integers("c", maximumCount: 2) }
                == "m.gguf: c must be an array of integers, found an array of string" + again)
        #expect(
            sentence { _ = try metadata.texts("d", maximumCount: 2) }
                == "m.gguf: d must be an array of strings, found an array of float32" + again)
        #expect(
            sentence { _ = try metadata.text("e") } == "m.gguf: e has text that is not UTF-8")
        #expect(
            sentence { _ = try metadata.texts("f", maximumCount: 1) }
                == "m.gguf: f has text that is not UTF-8")
    }

    /// As llama.cpp does; a tensor ends where its shape says.
    @Test(arguments: [1, 31, 46, 4096]) func ignoresBytesAfterTheLastTensor(count: Int) throws {
        let expected = try parse(Refusal.file).tensors
        let bytes = Refusal.file.bytes + Array(repeating: 7, count: count)
        let header = try GGUFHeader(parsing: bytes, fileSize: bytes.count, path: "m.gguf")
        #expect(header.tensors == expected)
    }

    // MARK: - Refusals

    @Test(arguments: Refusal.all) func refuses(_ refusal: Refusal) {
        var file = Refusal.file
        refusal.damage(&file)
        let error = #expect(throws: ModelFileError.self) { try parse(file) }
        #expect(error?.description == "m.gguf: \(refusal.sentence)")
    }

    /// Of each prefix of a file, none is taken for the whole; none says anything but that it is cut.
    @Test func refusesEveryCut() throws {
        var file = Refusal.file
        file.addTokenizer(tokens: ["a", "b"], merges: ["a b"], kinds: [1, 1])
        let bytes = file.bytes
        let end = try parse(file).tensors.last?.range.upperBound ?? 0
        for count in 0..<end {
            let error = #expect(throws: ModelFileError.self) {
                try GGUFHeader(
                    parsing: Array(bytes[..<count]), fileSize: count, path: "m.gguf")
            }
            #expect(error?.kind == .truncated, "\(count): \(String(describing: error))")
        }
    }

    /// More of the file is asked for, not guessed, when a header is longer than what was read.
    @Test func readsAHeaderOfManyMegabytes() throws {
        let directory = try TemporaryDirectory()
        var file = Refusal.file
        file["long"] = .bytes(Array(repeating: 0x61, count: 20 << 20))
        file["after"] = .uint8(9)
        let path = try directory.write(file.bytes, to: "m.gguf")
        let header = try GGUFHeader(of: ModelFile(path: path))
        #expect(try header.metadata.integer("after") == 9)
        #expect(header.tensors.count == 2)
        file["long"] = .bytes(Array(repeating: 0x61, count: GGUFHeader.maximumBytes))
        try directory.write(file.bytes, to: "m.gguf")
        let error = #expect(throws: ModelFileError.self) {
            try GGUFHeader(of: ModelFile(path: path))
        }
        #expect(error?.problem == "has a header of more than 67108864 bytes")
    }

    /// Flipped bits, hostile numbers, exchanged pieces and cuts: an error or a layout that holds.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func survivesMutations(seed: UInt64) throws {
        #if DEBUG
        let rounds = 500
        #else
        let rounds = 25_000
        #endif
        var random = SplitMix(seed: seed)
        var accepted = 0
        for round in 0..<rounds {
            var bytes = randomFile(&random).bytes
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                GGUFMutation.apply(to: &bytes, &random)
            }
            guard
                let header = try? GGUFHeader(
                    parsing: bytes, fileSize: bytes.count, path: "m.gguf")
            else { continue }
            accepted += 1
            var position = 0
            for tensor in header.tensors {
                let (values, size) = (tensor.type.valuesPerBlock, tensor.type.bytesPerBlock)
                let count = tensor.shape.reduce(1, *) / values * size
                try #require(tensor.range.count == count, "seed \(seed), round \(round)")
                try #require(tensor.range.lowerBound >= position, "seed \(seed), round \(round)")
                position = tensor.range.upperBound
            }
            try #require(position <= bytes.count, "seed \(seed), round \(round)")
        }
        // A quarter is not mutated at all, so that the property does not hold of errors only.
        #expect(accepted > rounds / 8 && accepted < rounds, "\(accepted) of \(rounds)")
    }

    private func randomFile(_ random: inout SplitMix) -> WrittenGGUF {
        var file = WrittenGGUF()
        file["general.architecture"] = .string("gpt2")
        for index in 0..<Int.random(in: 0...3, using: &random) {
            let values: [WrittenGGUFValue] = [
                .uint32(7), .bool(1), .strings(["a", "bc"]), .float32(1),
                .array(9, [.array(7, [.bool(0), .bool(1)])]), .array(4, [.uint32(1)]),
            ]
            file["k\(index)"] = values[Int.random(in: values.indices, using: &random)]
        }
        if Bool.random(using: &random) {
            file.alignment = 1 << Int.random(in: 3...6, using: &random)
            file["general.alignment"] = .uint32(UInt32(file.alignment))
        }
        let kinds: [GGUFType] = [.float32, .float16, .q80, .q40, .q6K, .int8]
        file.tensors = (0..<Int.random(in: 0...4, using: &random)).map { index in
            let element = kinds[Int.random(in: kinds.indices, using: &random)]
            let rows = Int.random(in: 1...3, using: &random)
            let bytes = [UInt8](repeating: 1, count: rows * element.bytesPerBlock)
            return WrittenGGUFTensor(
                "t\(index)", [UInt64(element.valuesPerBlock), UInt64(rows)],
                type: element.rawValue, bytes: bytes)
        }
        return file
    }

    private func parse(_ file: WrittenGGUF) throws -> GGUFHeader {
        let bytes = file.bytes
        return try GGUFHeader(parsing: bytes, fileSize: bytes.count, path: "m.gguf")
    }
}

/// One thing that is wrong, and what is said about it.
struct Refusal: CustomTestStringConvertible, Sendable {
    var sentence: String
    var damage: @Sendable (inout WrittenGGUF) -> Void

    init(_ sentence: String, _ damage: @escaping @Sendable (inout WrittenGGUF) -> Void) {
        self.sentence = sentence
        self.damage = damage
    }

    var testDescription: String { sentence }

    /// Two keys, two tensors.
    static let file: WrittenGGUF = {
        var file = WrittenGGUF()
        file["a"] = .uint32(1)
        file["b"] = .strings(["x"])
        file.tensors = [
            WrittenGGUFTensor("t", [4, 2], floats: Array(repeating: 1, count: 8)),
            WrittenGGUFTensor("u", [32], type: 2, bytes: Array(repeating: 1, count: 18)),
        ]
        return file
    }()

    private static let download = "; download it again"

    static let all = [
        Refusal("is not a GGUF file" + download) { $0.magic = Array("GGML".utf8) },
        Refusal(
            "is a big-endian GGUF file; convert it with `gguf-convert-endian FILE little` of the "
                + "Python package gguf"
        ) { $0.version = 3 << 24 },
        Refusal(
            "is a GGUF file of version 1, expected 2 or 3; convert the model again with "
                + "llama.cpp's convert_hf_to_gguf.py"
        ) { $0.version = 1 },
        Refusal("has 18446744073709551615 tensors, expected at most 16384" + download) {
            $0.tensorCount = .max
        },
        Refusal("has 16385 metadata keys, expected at most 16384" + download) {
            $0.keyCount = 16_385
        },
        Refusal("has the metadata key 'a' twice" + download) {
            $0.metadata.append(("a", .uint8(0)))
        },
        Refusal("the key of metadata 0 has 0 bytes, expected 1 to 65535" + download) {
            $0.metadata[0].key = ""
        },
        Refusal("the value of 'n' has the unknown type 13" + download) {
            $0["n"] = .array(13, [])
        },
        Refusal("the value of 'n' must be 0 or 1, found 2" + download) { $0["n"] = .bool(2) },
        Refusal("the value of 'n' must be 0 or 1, found 255" + download) {
            $0["n"] = .array(7, [.bool(1), .bool(255)])
        },
        Refusal("the value of 'n' has arrays nested deeper than 8" + download) {
            $0["n"] = (0..<9).reduce(.array(0, [])) { value, _ in .array(9, [value]) }
        },
        // The bytes of an array that says it has 2⁶⁰ elements.
        Refusal("ends inside the value of 'n'" + download) {
            $0["n"] = Self.hostileArray(of: 8, count: 1 << 60)
        },
        Refusal("ends inside the value of 'n'" + download) {
            $0["n"] = Self.hostileArray(of: 9, count: 1 << 60)
        },
        Refusal("ends inside the value of 'n'" + download) {
            $0["n"] = Self.hostileArray(of: 12, count: 1 << 61)
        },
        Refusal("ends inside the value of 'n'" + download) {
            $0["n"] = Self.hostileArray(of: 0, count: .max)
        },
        Refusal(
            "general.alignment must be a power of two up to 1048576, found 48" + download
        ) { $0["general.alignment"] = .uint32(48) },
        Refusal("general.alignment must be a power of two up to 1048576, found 0" + download) {
            $0["general.alignment"] = .uint32(0)
        },
        Refusal("has tensor 't' twice" + download) { $0.tensors[1].name = "t" },
        Refusal("the name of tensor 1 has 65 bytes, expected 1 to 64" + download) {
            $0.tensors[1].name = String(repeating: "n", count: 65)
        },
        Refusal("tensor 't' has 0 dimensions, expected 1 to 4" + download) {
            $0.tensors[0].dimensions = []
        },
        Refusal("tensor 't' has 5 dimensions, expected 1 to 4" + download) {
            $0.tensors[0].dimensions = [4, 2, 1, 1, 1]
        },
        Refusal("tensor 't' has a dimension of 0" + download) {
            $0.tensors[0].dimensions = [4, 0]
        },
        Refusal("tensor 't' has a dimension of 9223372036854775808" + download) {
            $0.tensors[0].dimensions = [1 << 63]
        },
        Refusal("tensor 't' is larger than any file" + download) {
            $0.tensors[0].dimensions = [1 << 32, 1 << 32]
        },
        Refusal("tensor 't' is larger than any file" + download) {
            $0.tensors[0].dimensions = [1 << 62]
        },
        Refusal(
            "tensor 't' has the unknown type 4, expected F32, F16, BF16, Q8_0, Q4_0 or Q6_K; make "
                + "another from its F32 or F16 file: llama-quantize --pure FILE NEW_FILE q8_0"
        ) { $0.tensors[0].type = 4 },
        Refusal(
            "tensor 'u' has rows of 48 values, which blocks of 32 (Q4_0) do not fill" + download
        ) { $0.tensors[1].dimensions = [48] },
        Refusal("tensor 'u' begins at 40, which is no multiple of 32" + download) {
            $0.tensors[1].offset = 40
        },
        Refusal("tensor 'u' is larger than any file" + download) {
            $0.tensors[1].offset = .max - 31
        },
        Refusal(
            "ends inside tensor 'u': it would end at byte 114 of the data, of which there are 64"
                + download
        ) { $0.tensors[1].offset = 96 },
        Refusal(
            "tensor 'u' begins at byte 0 of the data, expected 32: it overlaps the tensor before it"
                + download
        ) { $0.tensors[1].offset = 0 },
        Refusal(
            "tensor 'u' begins at byte 64 of the data, expected 32: it leaves a gap before it"
                + download
        ) {
            $0.tensors[1].offset = 64
            $0.tensors[1].bytes += Array(repeating: 0, count: 64)
        },
    ]

    /// A string whose bytes are those of an array's beginning, under the array's type.
    private static func hostileArray(of type: UInt32, count: UInt64) -> WrittenGGUFValue {
        .raw(
            type: 9, littleEndianBytes(UInt64(type), count: 4) + littleEndianBytes(count, count: 8))
    }
}

/// One piece of damage to a file.
enum GGUFMutation {
    static func apply(to file: inout [UInt8], _ random: inout SplitMix) {
        guard !file.isEmpty else { return }
        // Most of the damage to the header, where there is something to misread.
        let end = Bool.random(using: &random) ? file.count : min(file.count, 200)
        let place = Int.random(in: 0..<end, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: file[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1:
            let width = [1, 4, 8][Int.random(in: 0..<3, using: &random)]
            let number = numbers[Int.random(in: numbers.indices, using: &random)]
            for (index, byte) in littleEndianBytes(number, count: width).enumerated()
            where place + index < file.count {
                file[place + index] = byte
            }
        case 2: file.removeLast(Int.random(in: 0...file.count, using: &random))
        case 3: file.append(contentsOf: file[..<place])
        case 4: file.insert(file[Int.random(in: file.indices, using: &random)], at: place)
        default: file.remove(at: place)
        }
    }

    private static let numbers: [UInt64] = [
        0, 1, 2, 7, 8, 9, 31, 32, 255, 1 << 16, 1 << 31, 1 << 32, 1 << 60, (1 << 61) + 1, 1 << 63,
        .max - 7, .max,
    ]
}
