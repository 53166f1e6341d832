// The table of contents of one GGUF file: bytes in, checked layout out. Only `init(of:)` reads.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
// SPDX-License-Identifier: Apache-2.0

/// Metadata, and where each tensor lies; ranges are inside the file and do not overlap.
package struct GGUFHeader: Sendable {
    package struct Tensor: Sendable, Hashable {
        package var name: String
        package var type: GGUFType
        /// Rows first: the reverse of the format, whose first number is the length of a row.
        package var shape: [Int]
        /// Bytes of the file.
        package var range: Range<Int>
    }

    package let version: Int
    package let metadata: GGUFMetadata
    /// In the order of the file, names unique.
    package let tensors: [Tensor]

    /// GPT-2's vocabulary takes 1.7 MB of it.
    package static let maximumBytes = 64 << 20
    private static let versions: ClosedRange<UInt32> = 2...3
    /// GPT-2 XL has 580.
    private static let maximumTensorCount = 1 << 14
    private static let maximumNameBytes = 64
    private static let maximumRank = 4
    private static let defaultAlignment = 32
    private static let maximumAlignment = 1 << 20
    /// Enough for GPT-2, so that its header is read once.
    private static let firstByteCount = 4 << 20

    /// Whether a file that begins with these bytes is a GGUF file.
    package static func isGGUF(_ prefix: Span<UInt8>) -> Bool {
        let magic: [UInt8] = Array("GGUF".utf8)
        return prefix.count >= magic.count && magic.indices.allSatisfy { prefix[$0] == magic[$0] }
    }

    /// Reads as much of the file as its header takes, and little more.
    package init(of file: ModelFile) throws(ModelFileError) {
        var count = min(file.size, Self.firstByteCount)
        while true {
            let bytes = try file.bytes(at: 0, count: count)
            do {
                self = try GGUFHeader(prefix: bytes, fileSize: file.size, path: file.path)
                return
            } catch {
                let most = min(file.size, Self.maximumBytes)
                guard case .needsMore = error, count < most else {
                    throw error.error(path: file.path)
                }
                count = min(count * 4, most)
            }
        }
    }

    /// Reads a whole file, or as much of one as its header takes.
    package init(
        parsing bytes: [UInt8], fileSize: Int, path: String
    ) throws(ModelFileError) {
        do {
            try self.init(prefix: bytes, fileSize: fileSize, path: path)
        } catch {
            throw error.error(path: path)
        }
    }

    private init(prefix: [UInt8], fileSize: Int, path: String) throws(GGUFFailure) {
        var cursor = GGUFCursor(prefix, fileSize: fileSize)
        version = try Self.version(&cursor)
        let tensorCount = try cursor.uint64("the header")
        guard tensorCount <= UInt64(Self.maximumTensorCount) else {
            throw .malformed(
                "has \(tensorCount) tensors, expected at most \(Self.maximumTensorCount)")
        }
        let keyCount = try cursor.uint64("the header")
        metadata = try GGUFMetadata(parsing: &cursor, count: keyCount, path: path)
        let alignment = try Self.alignment(metadata)
        var tensors: [Tensor] = []
        var names: Set<String> = []
        for index in 0..<tensorCount {
            // Ranges count from the beginning of the data, which is not known yet.
            let tensor = try Self.tensor(&cursor, index, alignment: alignment)
            guard names.insert(tensor.name).inserted else {
                throw .malformed("has tensor \(tensor.name.quotedForMessage) twice")
            }
            tensors.append(tensor)
        }
        let dataStart = cursor.position.padded(to: alignment)
        guard dataStart <= fileSize || tensors.isEmpty else {
            throw .truncated("the padding after the header")
        }
        self.tensors = try Self.placed(
            tensors, from: dataStart, to: fileSize, alignment: alignment)
    }

    private static func version(_ cursor: inout GGUFCursor) throws(GGUFFailure) -> Int {
        let magic = try cursor.take(4, "the header")
        guard isGGUF(cursor.bytes.span.extracting(magic)) else {
            throw .malformed("is not a GGUF file")
        }
        let version = try cursor.uint32("the header")
        if versions ~= version { return Int(version) }
        if versions ~= version.byteSwapped {
            throw .unsupported(
                "is a big-endian GGUF file",
                remedy: "convert it with `gguf-convert-endian FILE little` of the Python package "
                    + "gguf")
        }
        throw .unsupported(
            "is a GGUF file of version \(version), expected 2 or 3", remedy: GGUFFile.convertAgain)
    }

    private static func alignment(_ metadata: GGUFMetadata) throws(GGUFFailure) -> Int {
        let key = "general.alignment"
        let given: Int?
        do {
            given = try metadata.integer(key)
        } catch {
            throw .malformed(error.problem)
        }
        let alignment = given ?? defaultAlignment
        guard 1...maximumAlignment ~= alignment, alignment.nonzeroBitCount == 1 else {
            throw .malformed(
                "\(key) must be a power of two up to \(maximumAlignment), found \(alignment)")
        }
        return alignment
    }

    /// One entry of the table, its range counted from the beginning of the data.
    private static func tensor(
        _ cursor: inout GGUFCursor, _ index: UInt64, alignment: Int
    ) throws(GGUFFailure) -> Tensor {
        let name = try cursor.name("the name of tensor \(index)", maximumBytes: maximumNameBytes)
        let what = "tensor \(name.quotedForMessage)"
        let rank = try cursor.uint32(what)
        guard 1...UInt32(maximumRank) ~= rank else {
            throw .malformed("\(what) has \(rank) dimensions, expected 1 to \(maximumRank)")
        }
        var shape: [Int] = []
        var count = 1
        for _ in 0..<rank {
            let size = try cursor.uint64(what)
            guard let size = Int(exactly: size), size > 0 else {
                throw .malformed("\(what) has a dimension of \(size)")
            }
            shape.append(size)
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard !overflow else { throw .malformed("\(what) is larger than any file") }
            count = product
        }
        let number = try cursor.uint32(what)
        guard let type = GGUFType(rawValue: number) else {
            throw .unsupported(
                "\(what) has the unknown type \(number), expected \(GGUFFile.readableNames)",
                remedy: GGUFFile.quantizeAgain)
        }
        let (valueCount, byteCount) = (type.valuesPerBlock, type.bytesPerBlock)
        guard shape[0] % valueCount == 0 else {
            throw .malformed(
                "\(what) has rows of \(shape[0]) values, which blocks of \(valueCount) "
                    + "(\(type.name)) do not fill")
        }
        let (size, overflow) = (count / valueCount).multipliedReportingOverflow(by: byteCount)
        let offset = try cursor.uint64(what)
        guard !overflow, let offset = Int(exactly: offset) else {
            throw .malformed("\(what) is larger than any file")
        }
        guard offset % alignment == 0 else {
            throw .malformed("\(what) begins at \(offset), which is no multiple of \(alignment)")
        }
        let (end, endOverflow) = offset.addingReportingOverflow(size)
        guard !endOverflow else { throw .malformed("\(what) is larger than any file") }
        return Tensor(name: name, type: type, shape: shape.reversed(), range: offset..<end)
    }

    /// The tensors in the order of their data, moved to where these begin; only padding lies between.
    ///
    /// Bytes after the last tensor are ignored, as llama.cpp ignores them.
    private static func placed(
        _ tensors: [Tensor], from dataStart: Int, to fileSize: Int, alignment: Int
    ) throws(GGUFFailure) -> [Tensor] {
        var tensors = tensors.sorted { $0.range.lowerBound < $1.range.lowerBound }
        let dataCount = max(0, fileSize - dataStart)
        var position = 0
        for index in tensors.indices {
            let (name, range) = (tensors[index].name.quotedForMessage, tensors[index].range)
            guard range.upperBound <= dataCount else {
                throw .truncated(
                    "tensor \(name): it would end at byte \(range.upperBound) of the data, "
                        + "of which there are \(dataCount)")
            }
            let expected = position.padded(to: alignment)
            guard range.lowerBound == expected else {
                let what =
                    range.lowerBound < expected
                    ? "overlaps the tensor before it" : "leaves a gap before it"
                throw .malformed(
                    "tensor \(name) begins at byte \(range.lowerBound) of the data, "
                        + "expected \(expected): it \(what)")
            }
            position = range.upperBound
            tensors[index].range = range.lowerBound + dataStart..<range.upperBound + dataStart
        }
        return tensors
    }
}

extension Int {
    fileprivate func padded(to alignment: Int) -> Int { (self + alignment - 1) & ~(alignment - 1) }
}
