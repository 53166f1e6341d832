// Walks over the beginning of a GGUF file, number by number. Every length is compared with the file
// before anything is done with it. What the numbers mean: GGUFHeader.swift, GGUFMetadata.swift.
// SPDX-License-Identifier: Apache-2.0

/// Why a walk ended early; whoever knows the path makes a sentence of it.
enum GGUFFailure: Error {
    /// The file goes on, but the bytes at hand do not.
    case needsMore
    /// The file ends inside what is named.
    case truncated(String)
    case malformed(String)
    case unsupported(String, remedy: String)

    func error(path: String) -> ModelFileError {
        switch self {
        case .needsMore:
            ModelFileError(
                .malformed, path: path,
                problem: "has a header of more than \(GGUFHeader.maximumBytes) bytes")
        case .truncated(let what):
            ModelFileError(
                .truncated, path: path, problem: "ends inside \(what)", remedy: "download it again")
        case .malformed(let problem):
            ModelFileError(.malformed, path: path, problem: problem, remedy: "download it again")
        case .unsupported(let problem, let remedy):
            ModelFileError(.unsupported, path: path, problem: problem, remedy: remedy)
        }
    }
}

/// A place in the first bytes of a file; numbers are little-endian.
struct GGUFCursor {
    let bytes: [UInt8]
    /// At least as large as `bytes.count`.
    let fileSize: Int
    private(set) var position: Int

    init(_ bytes: [UInt8], fileSize: Int, position: Int = 0) {
        precondition(bytes.count <= fileSize, "\(bytes.count) bytes of a file of \(fileSize)")
        self.bytes = bytes
        self.fileSize = fileSize
        self.position = position
    }

    /// Bytes of the file from here on.
    var rest: Int { fileSize - position }

    /// Steps over `count` bytes, which are at hand afterwards.
    mutating func take(_ count: UInt64, _ what: String) throws(GGUFFailure) -> Range<Int> {
        guard count <= UInt64(rest) else { throw .truncated(what) }
        guard Int(count) <= bytes.count - position else { throw .needsMore }
        let start = position
        position += Int(count)
        return start..<position
    }

    mutating func unsigned(byteCount: Int, _ what: String) throws(GGUFFailure) -> UInt64 {
        var value: UInt64 = 0
        for index in try take(UInt64(byteCount), what).reversed() {
            value = value << 8 | UInt64(bytes[index])
        }
        return value
    }

    mutating func uint32(_ what: String) throws(GGUFFailure) -> UInt32 {
        UInt32(truncatingIfNeeded: try unsigned(byteCount: 4, what))
    }

    mutating func uint64(_ what: String) throws(GGUFFailure) -> UInt64 {
        try unsigned(byteCount: 8, what)
    }

    /// Steps over a length and as many bytes; gives where these are.
    mutating func string(_ what: String) throws(GGUFFailure) -> Range<Int> {
        try take(try uint64(what), what)
    }

    /// A string that names something: UTF-8 of 1 to `maximumBytes`.
    mutating func name(
        _ what: String, maximumBytes: Int
    ) throws(GGUFFailure) -> String {
        let count = try uint64(what)
        guard 1...UInt64(maximumBytes) ~= count else {
            throw .malformed("\(what) has \(count) bytes, expected 1 to \(maximumBytes)")
        }
        let range = try take(count, what)
        guard let name = String(validating: bytes[range], as: UTF8.self) else {
            throw .malformed("\(what) is not UTF-8")
        }
        return name
    }
}
