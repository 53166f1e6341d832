// Files that are only read: opened once, read in slices or whole with a bound. Never mapped: a file that is
// cut short under a mapping kills the process. What is in a file, and how its faults are told, is the caller's.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// An open regular file.
package final class RegularFile: Sendable {
    /// The path as the caller wrote it, for messages.
    package let path: String
    /// What the file was when it was opened.
    package let status: FileStatus
    private let descriptor: Descriptor

    /// The file's size in bytes when it was opened.
    package var size: Int { status.size }

    /// Opens a file for reading; a pipe, a device or a directory is refused without waiting for it.
    package init(path: String) throws(FileError) {
        do throws(SystemError) {
            // Without O_NONBLOCK a named pipe without a writer would hang here.
            descriptor = try Descriptor(opening: path, O_RDONLY | O_NONBLOCK)
            status = try descriptor.status()
        } catch {
            throw FileError(path, error)
        }
        guard status.kind == .file else {
            throw FileError(path, status.kind == .directory ? .isDirectory : .isNotRegular)
        }
        _ = posix_fadvise(descriptor.rawValue, 0, 0, POSIX_FADV_SEQUENTIAL)
        self.path = path
    }

    /// Fills the bytes `range` of `destination` with what begins at byte `offset` of the file.
    package func read(
        at offset: Int, into destination: inout MutableRawSpan, range: Range<Int>
    ) throws(FileError) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= destination.byteCount,
            "bytes \(range) of \(destination.byteCount)")
        let count: Int
        do throws(SystemError) {
            count = try unsafe destination.withUnsafeMutableBytes { buffer throws(SystemError) in
                try unsafe descriptor.read(
                    at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[range]))
            }
        } catch {
            throw FileError(path, .unreadable(error))
        }
        guard count == range.count else {
            throw FileError(path, .truncated(at: offset + count, size: size))
        }
    }

    /// The `count` bytes that begin at byte `offset`.
    package func bytes(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        var raw = unsafe span.mutableBytes
        try read(at: offset, into: &raw, range: 0..<count)
        return bytes
    }

    /// All bytes of a file that has at most `limit` of them.
    package static func contents(of path: String, limit: Int) throws(FileError) -> [UInt8] {
        let file = try RegularFile(path: path)
        guard file.size <= limit else {
            throw FileError(path, .tooLarge(size: file.size, limit: limit))
        }
        return try file.bytes(at: 0, count: file.size)
    }
}

/// Why a file cannot be used.
package struct FileError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Problem: Sendable, Hashable {
        case missing
        case notPermitted
        case isDirectory
        case isNotRegular
        /// Both in bytes.
        case tooLarge(size: Int, limit: Int)
        /// The file ended at byte `at` although it had `size` bytes when it was opened.
        case truncated(at: Int, size: Int)
        /// Opening failed for a reason that has no case of its own.
        case unopenable(SystemError)
        /// Reading failed.
        case unreadable(SystemError)
    }

    package var path: String
    package var problem: Problem

    package init(_ path: String, _ problem: Problem) {
        self.path = path
        self.problem = problem
    }

    /// The error of a file, or a directory, that could not be opened.
    package init(_ path: String, _ error: SystemError) {
        self.path = path
        problem =
            switch error.code {
            case ENOENT, ENOTDIR: .missing
            case EACCES, EPERM: .notPermitted
            default: .unopenable(error)
            }
    }

    /// The problem without the path.
    package var reason: String {
        switch problem {
        case .missing: "does not exist"
        case .notPermitted: "may not be read by this user"
        case .isDirectory: "is a directory, expected a file"
        case .isNotRegular: "is not a regular file"
        case .tooLarge(let size, let limit): "has \(size) bytes, expected at most \(limit)"
        case .truncated(let at, let size):
            "ends at byte \(at) although it had \(size) bytes when it was opened"
        case .unopenable(let error): "cannot be opened: \(error.reason)"
        case .unreadable(let error): "cannot be read: \(error.reason)"
        }
    }

    package var description: String { "\(path): \(reason)" }
}
