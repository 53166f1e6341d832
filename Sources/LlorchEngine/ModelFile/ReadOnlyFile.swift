// Files of a model: opened for reading, read in slices with pread. Not mapped: a file that is cut
// short under a mapping kills the process. The only file of this folder that calls the system.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// An open regular file.
package final class ReadOnlyFile: Sendable {
    /// As the caller wrote it, for messages.
    package let path: String
    /// In bytes, when the file was opened.
    package let size: Int
    private let descriptor: CInt

    package init(path: String) throws(ModelFileError) {
        // Without O_NONBLOCK a named pipe without a writer would hang here.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw ModelFileError.opening(path, code: errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let code = errno
            close(descriptor)
            throw ModelFileError.opening(path, code: code)
        }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size >= 0 else {
            close(descriptor)
            throw ModelFileError(
                .unreadable, path: path,
                problem: status.st_mode & S_IFMT == S_IFDIR
                    ? "is a directory, expected a file" : "is not a regular file")
        }
        self.path = path
        size = Int(status.st_size)
        self.descriptor = descriptor
        _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL)
    }

    deinit {
        close(descriptor)
    }

    /// Fills the bytes `range` of `destination` with what begins at `offset` of the file.
    package func read(
        at offset: Int, into destination: inout MutableRawSpan, range: Range<Int>
    ) throws(ModelFileError) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= destination.byteCount,
            "bytes \(range) of \(destination.byteCount)")
        var done = 0
        while done < range.count {
            let (count, code) = destination.withUnsafeMutableBytes { buffer in
                let rest = buffer[range].dropFirst(done)
                let count = pread(
                    descriptor, UnsafeMutableRawBufferPointer(rebasing: rest).baseAddress,
                    min(rest.count, Self.largestRead), off_t(offset) + off_t(done))
                return (count, errno)
            }
            if count > 0 {
                done += count
            } else if count == 0 {
                throw ModelFileError(
                    .truncated, path: path,
                    problem: "ends at byte \(offset + done) although it had \(size) bytes "
                        + "when it was opened",
                    remedy: "do not write to a model while it is being read")
            } else if code != EINTR {
                throw ModelFileError(
                    .unreadable, path: path,
                    problem: "reading at byte \(offset + done) failed: \(Self.text(of: code))")
            }
        }
    }

    /// Fills the places `range` of `floats` with the little-endian floats that begin at `offset`.
    package func read(
        at offset: Int, into floats: inout MutableSpan<Float>, range: Range<Int>
    ) throws(ModelFileError) {
        let size = MemoryLayout<Float>.size
        var bytes = floats.mutableBytes
        try read(
            at: offset, into: &bytes, range: range.lowerBound * size..<range.upperBound * size)
        #if _endian(big)
        for index in range {
            floats[index] = Float(bitPattern: UInt32(littleEndian: floats[index].bitPattern))
        }
        #endif
    }

    /// `count` bytes from `offset` on.
    package func bytes(at offset: Int, count: Int) throws(ModelFileError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        try read(at: offset, into: &raw, range: 0..<count)
        return bytes
    }

    /// A whole file of at most `limit` bytes.
    package static func contents(of path: String, limit: Int) throws(ModelFileError) -> [UInt8] {
        let file = try ReadOnlyFile(path: path)
        guard file.size <= limit else {
            throw ModelFileError(
                .malformed, path: path,
                problem: "has \(file.size) bytes, expected at most \(limit)")
        }
        return try file.bytes(at: 0, count: file.size)
    }

    /// One call of the system reads at most this much, so that a signal is not kept waiting long.
    private static let largestRead = 16 << 20

    fileprivate static func text(of code: CInt) -> String {
        strerror(code).map { String(cString: $0) } ?? "error \(code)"
    }
}

/// What stands at a path.
package enum PathKind: Sendable, Hashable {
    case file
    case directory
    case other
    case nothing

    /// Links are followed.
    package init(path: String) throws(ModelFileError) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            guard errno == ENOENT || errno == ENOTDIR else {
                throw ModelFileError.opening(path, code: errno)
            }
            self = .nothing
            return
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: self = .file
        case S_IFDIR: self = .directory
        default: self = .other
        }
    }
}

/// The names in a directory, ascending; at most 10,000, for messages only.
package func fileNames(in directory: String) throws(ModelFileError) -> [String] {
    guard let stream = opendir(directory) else {
        throw ModelFileError.opening(directory, code: errno)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while names.count < 10_000, let entry = readdir(stream) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
}

extension ModelFileError {
    fileprivate static func opening(_ path: String, code: CInt) -> ModelFileError {
        switch code {
        case ENOENT, ENOTDIR:
            ModelFileError(.missing, path: path, problem: "does not exist")
        case EACCES, EPERM:
            ModelFileError(
                .unreadable, path: path, problem: "may not be read by this user",
                remedy: "give read permission to it and search permission to its directories")
        default:
            ModelFileError(
                .unreadable, path: path,
                problem: "cannot be opened: \(ReadOnlyFile.text(of: code))")
        }
    }
}
