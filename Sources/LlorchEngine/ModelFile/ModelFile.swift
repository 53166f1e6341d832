// One file of a model, open: LlorchSystem's RegularFile with errors that tell what to do about a model. The only
// reader of weights, whatever the format of the file.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem

/// A file that is read in slices.
package struct ModelFile: Sendable {
    private let file: RegularFile

    /// The path as the caller wrote it, for messages.
    package var path: String { file.path }
    /// Bytes of the file when it was opened.
    package var size: Int { file.size }

    package init(path: String) throws(ModelFileError) {
        do {
            file = try RegularFile(path: path)
        } catch {
            throw ModelFileError(error)
        }
    }

    /// Fills the bytes `range` of `destination` with what begins at byte `offset` of the file.
    package func read(
        at offset: Int, into destination: inout MutableRawSpan, range: Range<Int>
    ) throws(ModelFileError) {
        do {
            try file.read(at: offset, into: &destination, range: range)
        } catch {
            throw ModelFileError(error)
        }
    }

    /// Fills the places `range` of `floats` with the little-endian floats that begin at byte `offset`.
    package func read(
        at offset: Int, into floats: inout MutableSpan<Float>, range: Range<Int>
    ) throws(ModelFileError) {
        let size = MemoryLayout<Float>.size
        var bytes = unsafe floats.mutableBytes
        try read(
            at: offset, into: &bytes, range: range.lowerBound * size..<range.upperBound * size)
        #if _endian(big)
        for index in range {
            floats[index] = Float(bitPattern: UInt32(littleEndian: floats[index].bitPattern))
        }
        #endif
    }

    /// The `count` bytes that begin at byte `offset`.
    package func bytes(at offset: Int, count: Int) throws(ModelFileError) -> [UInt8] {
        do {
            return try file.bytes(at: offset, count: count)
        } catch {
            throw ModelFileError(error)
        }
    }

    /// All bytes of a file that has at most `limit` of them.
    package static func contents(of path: String, limit: Int) throws(ModelFileError) -> [UInt8] {
        do {
            return try RegularFile.contents(of: path, limit: limit)
        } catch {
            throw ModelFileError(error)
        }
    }

    /// Whether a path leads to a regular file, and so to a GGUF file where a model is named.
    package static func isFile(at path: String) throws(ModelFileError) -> Bool {
        try kind(of: path) == .file
    }

    /// What stands at a path.
    static func kind(of path: String) throws(ModelFileError) -> PathKind {
        do {
            return try PathKind(path: path)
        } catch {
            throw ModelFileError(error)
        }
    }

    /// The names in a directory, ascending.
    static func names(in directory: String) throws(ModelFileError) -> [String] {
        do {
            return try Directory.names(in: directory)
        } catch {
            throw ModelFileError(error)
        }
    }
}

extension ModelFileError {
    /// The trouble with a file of a model, and what to do about it.
    init(_ error: FileError) {
        let kind: Kind
        var remedy: String?
        switch error.problem {
        case .missing: kind = .missing
        case .notPermitted:
            kind = .unreadable
            remedy = "give read permission to it and search permission to its directories"
        case .isDirectory, .isNotRegular, .unopenable, .unreadable: kind = .unreadable
        case .tooLarge: kind = .malformed
        case .truncated:
            kind = .truncated
            remedy = "do not write to a model while it is being read"
        }
        self.init(kind, path: error.path, problem: error.reason, remedy: remedy)
    }
}
