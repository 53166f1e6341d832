// The table of contents of one .safetensors file: bytes in, checked layout out, no I/O.
// Format: 8 bytes length N (little-endian), N bytes JSON, then the tensors without gaps.
// https://github.com/huggingface/safetensors#format
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

/// Where each tensor of a file lies; ranges are inside the file and do not overlap.
package struct SafetensorsHeader: Sendable, Hashable {
    package struct Tensor: Sendable, Hashable {
        package var name: String
        package var type: SafetensorsType
        package var shape: [Int]
        /// Bytes of the file.
        package var range: Range<Int>
    }

    /// In the order of the file.
    package let tensors: [Tensor]
    /// Names that were left out because another tensor is the same memory, to that tensor's name: what
    /// `safetensors.torch.save_model` writes into the metadata.
    package let aliases: [String: String]

    /// The reference reader takes 100 MB; GPT-2 XL needs 60 KB.
    package static let maximumBytes = 16 << 20
    /// Nine values a tensor; GPT-2 XL has 582 tensors.
    private static let maximumValues = 1 << 18
    private static let maximumRank = 8
    /// Bytes of the number in front of the header, which is the header's length.
    package static let prefixByteCount = 8

    /// Which bytes of the file the header is, by the first eight of them.
    package static func range(
        prefix: Span<UInt8>, fileSize: Int, path: String
    ) throws(ModelFileError) -> Range<Int> {
        precondition(
            prefix.count == min(fileSize, prefixByteCount),
            "\(prefix.count) bytes as the beginning of a file of \(fileSize)")
        var length: UInt64 = 0
        for index in prefix.indices { length |= UInt64(prefix[index]) << (8 * UInt64(index)) }
        if let mistaken = MistakenFile(prefix: prefix) {
            throw mistaken.error(path: path)
        }
        guard fileSize > prefixByteCount, length >= 2 else {
            throw ModelFileError(
                .malformed, path: path,
                problem: "is not a safetensors file: it has \(fileSize) bytes and no header",
                remedy: "download it again")
        }
        guard length <= UInt64(maximumBytes) else {
            throw ModelFileError(
                .malformed, path: path,
                problem: "is not a safetensors file: its header would have \(length) bytes, "
                    + "expected at most \(maximumBytes)")
        }
        guard Int(length) <= fileSize - prefixByteCount else {
            throw ModelFileError(
                .truncated, path: path,
                problem: "has \(fileSize) bytes, but its header alone has \(length)",
                remedy: "download it again")
        }
        return prefixByteCount..<prefixByteCount + Int(length)
    }

    /// Reads the header that ends where the tensors begin.
    package init(
        parsing bytes: Span<UInt8>, fileSize: Int, path: String
    ) throws(ModelFileError) {
        let dataStart = Self.prefixByteCount + bytes.count
        precondition(dataStart <= fileSize, "a header of \(bytes.count) bytes in \(fileSize)")
        let object = try Self.object(parsing: bytes, path: path)
        var tensors: [Tensor] = []
        tensors.reserveCapacity(object.count)
        for (name, value) in object.members where name != "__metadata__" {
            tensors.append(
                try Self.tensor(
                    name: name, value, dataStart: dataStart, dataCount: fileSize - dataStart,
                    path: path))
        }
        tensors.sort { left, right in
            (left.range.lowerBound, left.range.upperBound)
                < (right.range.lowerBound, right.range.upperBound)
        }
        try Self.checkCoverage(tensors, from: dataStart, to: fileSize, path: path)
        self.tensors = tensors
        let names = Set(tensors.map(\.name))
        var aliases: [String: String] = [:]
        for (name, value) in object["__metadata__"]?.asObject?.members ?? [] {
            guard let kept = value.asString, names.contains(kept), !names.contains(name) else {
                continue
            }
            aliases[name] = kept
        }
        self.aliases = aliases
    }

    private static func object(
        parsing bytes: Span<UInt8>, path: String
    ) throws(ModelFileError) -> JSONObject {
        var limits = StrictJSON.Limits.file(maximumBytes: maximumBytes, maximumDepth: 4)
        limits.maximumValues = maximumValues
        let value: JSONValue
        do {
            value = try StrictJSON.parse(bytes, limits: limits)
        } catch {
            throw ModelFileError(
                .malformed, path: path, problem: "the header is not valid JSON: \(error)",
                remedy: "download it again")
        }
        guard let object = value.asObject else {
            throw ModelFileError(
                .malformed, path: path,
                problem: "the header must be a JSON object, found \(value.kindName)")
        }
        return object
    }

    private static func tensor(
        name: String, _ value: JSONValue, dataStart: Int, dataCount: Int, path: String
    ) throws(ModelFileError) -> Tensor {
        func malformed(_ problem: String) -> ModelFileError {
            ModelFileError(
                .malformed, path: path, problem: "tensor \(name.quotedForMessage) \(problem)")
        }
        guard let members = value.asObject, let typeName = members["dtype"]?.asString,
            let dimensions = members["shape"]?.asArray,
            let offsets = members["data_offsets"]?.asArray, offsets.count == 2
        else {
            throw malformed("must have a dtype, a shape and two data_offsets")
        }
        guard let type = SafetensorsType(rawValue: typeName) else {
            throw malformed("has the unknown dtype \(typeName.quotedForMessage)")
        }
        guard dimensions.count <= maximumRank else {
            throw malformed("has \(dimensions.count) dimensions, expected at most \(maximumRank)")
        }
        var shape: [Int] = []
        var byteCount = type.byteCount
        for dimension in dimensions {
            guard let size = dimension.asNumber?.asUInt64.flatMap({ Int(exactly: $0) }) else {
                throw malformed("has a shape that is not made of sizes")
            }
            shape.append(size)
            let (product, overflow) = byteCount.multipliedReportingOverflow(by: size)
            guard !overflow else { throw malformed("is larger than any file: shape \(shape)") }
            byteCount = product
        }
        guard let begin = offsets[0].asNumber?.asUInt64.flatMap({ Int(exactly: $0) }),
            let end = offsets[1].asNumber?.asUInt64.flatMap({ Int(exactly: $0) }), begin <= end
        else {
            throw malformed("has data_offsets that are not a range")
        }
        guard end - begin == byteCount else {
            throw malformed(
                "takes \(end - begin) bytes, but shape \(shape) of \(typeName) needs \(byteCount)")
        }
        guard end <= dataCount else {
            throw ModelFileError(
                .truncated, path: path,
                problem: "tensor \(name.quotedForMessage) ends at byte \(end) of the data, "
                    + "but the file has only \(dataCount)",
                remedy: "download it again")
        }
        return Tensor(
            name: name, type: type, shape: shape, range: dataStart + begin..<dataStart + end)
    }

    private static func checkCoverage(
        _ tensors: [Tensor], from dataStart: Int, to fileSize: Int, path: String
    ) throws(ModelFileError) {
        var position = dataStart
        for tensor in tensors {
            guard tensor.range.lowerBound == position else {
                let what =
                    tensor.range.lowerBound < position
                    ? "overlaps the tensor before it" : "leaves a gap before it"
                throw ModelFileError(
                    .malformed, path: path,
                    problem: "tensor \(tensor.name.quotedForMessage) begins at byte "
                        + "\(tensor.range.lowerBound - dataStart) of the data, expected "
                        + "\(position - dataStart): it \(what)")
            }
            position = tensor.range.upperBound
        }
        guard position == fileSize else {
            throw ModelFileError(
                .malformed, path: path,
                problem: "has \(fileSize - position) bytes after the last tensor, expected none")
        }
    }
}
