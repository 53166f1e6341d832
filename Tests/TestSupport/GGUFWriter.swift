// Writes GGUF bytes, right ones and wrong ones; shares no code with the reader.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine

/// One metadata value, written as it is told.
package indirect enum WrittenGGUFValue: Sendable {
    case uint8(UInt8)
    case int8(Int8)
    case uint16(UInt16)
    case int16(Int16)
    case uint32(UInt32)
    case int32(Int32)
    case float32(Float)
    case bool(UInt8)
    case string(String)
    case bytes([UInt8])
    /// Whatever stands behind the type.
    case raw(type: UInt32, [UInt8])
    /// The type of the elements, which need not be that of `values`.
    case array(UInt32, [WrittenGGUFValue])
    case uint64(UInt64)
    case int64(Int64)
    case float64(Double)

    package static func strings(_ texts: [String]) -> WrittenGGUFValue {
        .array(8, texts.map { .string($0) })
    }

    var type: UInt32 {
        switch self {
        case .uint8: 0
        case .int8: 1
        case .uint16: 2
        case .int16: 3
        case .uint32: 4
        case .int32: 5
        case .float32: 6
        case .bool: 7
        case .string, .bytes: 8
        case .raw(let type, _): type
        case .array: 9
        case .uint64: 10
        case .int64: 11
        case .float64: 12
        }
    }

    var bytes: [UInt8] {
        switch self {
        case .uint8(let value), .bool(let value): [value]
        case .int8(let value): [UInt8(bitPattern: value)]
        case .uint16(let value): littleEndianBytes(UInt64(value), count: 2)
        case .int16(let value): littleEndianBytes(UInt64(UInt16(bitPattern: value)), count: 2)
        case .uint32(let value): littleEndianBytes(UInt64(value), count: 4)
        case .int32(let value): littleEndianBytes(UInt64(UInt32(bitPattern: value)), count: 4)
        case .float32(let value): littleEndianBytes(UInt64(value.bitPattern), count: 4)
        case .string(let text): ggufString(Array(text.utf8))
        case .bytes(let bytes): ggufString(bytes)
        case .raw(_, let bytes): bytes
        case .array(let type, let values):
            littleEndianBytes(UInt64(type), count: 4)
                + littleEndianBytes(UInt64(values.count), count: 8) + values.flatMap(\.bytes)
        case .uint64(let value): littleEndianBytes(value, count: 8)
        case .int64(let value): littleEndianBytes(UInt64(bitPattern: value), count: 8)
        case .float64(let value): littleEndianBytes(value.bitPattern, count: 8)
        }
    }
}

/// A length of eight bytes, and the bytes.
package func ggufString(_ bytes: [UInt8]) -> [UInt8] {
    littleEndianBytes(UInt64(bytes.count), count: 8) + bytes
}

package struct WrittenGGUFTensor: Sendable {
    package var name: String
    /// In the order of the format: the length of a row first.
    package var dimensions: [UInt64]
    package var type: UInt32
    package var bytes: [UInt8]
    /// Where it says that it begins; nil is where it does.
    package var offset: UInt64?

    package init(_ name: String, _ dimensions: [UInt64], type: UInt32, bytes: [UInt8]) {
        self.name = name
        self.dimensions = dimensions
        self.type = type
        self.bytes = bytes
    }

    package init(_ name: String, _ dimensions: [UInt64], floats: [Float]) {
        self.init(
            name, dimensions, type: 0,
            bytes: floats.flatMap { littleEndianBytes(UInt64($0.bitPattern), count: 4) })
    }
}

/// One file.
package struct WrittenGGUF: Sendable {
    package var magic = Array("GGUF".utf8)
    package var version: UInt32 = 3
    package var metadata: [(key: String, value: WrittenGGUFValue)] = []
    package var tensors: [WrittenGGUFTensor] = []
    package var alignment = 32
    /// What the header says there is; nil is what there is.
    package var tensorCount: UInt64?
    package var keyCount: UInt64?

    package init() {}

    package subscript(key: String) -> WrittenGGUFValue? {
        get { metadata.first { $0.key == key }?.value }
        set {
            let place = metadata.firstIndex { $0.key == key }
            switch (place, newValue) {
            case (let place?, let value?): metadata[place].value = value
            case (let place?, nil): metadata.remove(at: place)
            case (nil, let value?): metadata.append((key, value))
            case (nil, nil): break
            }
        }
    }

    package mutating func change(_ name: String, _ body: (inout WrittenGGUFTensor) -> Void) {
        for index in tensors.indices where tensors[index].name == name { body(&tensors[index]) }
    }

    package var header: [UInt8] {
        var bytes = magic + littleEndianBytes(UInt64(version), count: 4)
        bytes += littleEndianBytes(tensorCount ?? UInt64(tensors.count), count: 8)
        bytes += littleEndianBytes(keyCount ?? UInt64(metadata.count), count: 8)
        for (key, value) in metadata {
            bytes += ggufString(Array(key.utf8))
            bytes += littleEndianBytes(UInt64(value.type), count: 4) + value.bytes
        }
        var offset = 0
        for tensor in tensors {
            bytes += ggufString(Array(tensor.name.utf8))
            bytes += littleEndianBytes(UInt64(tensor.dimensions.count), count: 4)
            for dimension in tensor.dimensions { bytes += littleEndianBytes(dimension, count: 8) }
            bytes += littleEndianBytes(UInt64(tensor.type), count: 4)
            bytes += littleEndianBytes(tensor.offset ?? UInt64(offset), count: 8)
            offset = padded(offset + tensor.bytes.count)
        }
        return bytes
    }

    package var bytes: [UInt8] {
        var bytes = header
        for tensor in tensors {
            bytes += [UInt8](repeating: 0, count: padded(bytes.count) - bytes.count)
            bytes += tensor.bytes
        }
        return bytes + [UInt8](repeating: 0, count: padded(bytes.count) - bytes.count)
    }

    private func padded(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }
}

// MARK: - Models

extension WrittenGGUF {
    /// The weights of a `ModelWriter`, under llama.cpp's names and in its layout.
    package init(_ writer: ModelWriter) {
        self.init()
        let configuration = writer.configuration
        metadata = [
            ("general.architecture", .string("gpt2")),
            ("gpt2.context_length", .uint32(UInt32(configuration.contextLength))),
            ("gpt2.embedding_length", .uint32(UInt32(configuration.hiddenSize))),
            ("gpt2.feed_forward_length", .uint32(UInt32(configuration.feedForwardSize))),
            ("gpt2.block_count", .uint32(UInt32(configuration.layerCount))),
            ("gpt2.attention.head_count", .uint32(UInt32(configuration.headCount))),
            ("gpt2.attention.layer_norm_epsilon", .float32(configuration.layerNormEpsilon)),
        ]
        tensors = writer.weights().map { name, shape, floats in
            guard name.hasPrefix("h."), shape.count == 2 else {
                return WrittenGGUFTensor(
                    Self.names[name] ?? Self.blockName(name), shape.reversed().map { UInt64($0) },
                    floats: floats)
            }
            let (inputs, outputs) = (shape[0], shape[1])
            let transposed = (0..<outputs).flatMap { output in
                (0..<inputs).map { floats[$0 * outputs + output] }
            }
            return WrittenGGUFTensor(
                Self.blockName(name), [UInt64(inputs), UInt64(outputs)], floats: transposed)
        }
    }

    /// Adds a tokenizer; `kinds` as ggml numbers them.
    package mutating func addTokenizer(tokens: [String], merges: [String], kinds: [Int32]? = nil) {
        self["tokenizer.ggml.model"] = .string("gpt2")
        self["tokenizer.ggml.pre"] = .string("gpt-2")
        self["tokenizer.ggml.tokens"] = .strings(tokens)
        self["tokenizer.ggml.merges"] = .strings(merges)
        if let kinds { self["tokenizer.ggml.token_type"] = .array(5, kinds.map { .int32($0) }) }
    }

    private static let names = [
        "wte.weight": "token_embd.weight", "wpe.weight": "position_embd.weight",
        "ln_f.weight": "output_norm.weight", "ln_f.bias": "output_norm.bias",
        "lm_head.weight": "output.weight",
    ]

    private static func blockName(_ name: String) -> String {
        name.replacing("h.", with: "blk.", maxReplacements: 1)
            .replacing("ln_1.", with: "attn_norm.").replacing("ln_2.", with: "ffn_norm.")
            .replacing("attn.c_attn.", with: "attn_qkv.")
            .replacing("attn.c_proj.", with: "attn_output.")
            .replacing("mlp.c_fc.", with: "ffn_up.").replacing("mlp.c_proj.", with: "ffn_down.")
    }
}
