// Small files that hold secrets: read whole, into memory that is wiped, and only if nobody else may read the file.
// Who reads such files: the queue's keys (LlorchQueue/ZMQ/CurveKeyFile.swift) and the HTTP server's token.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Why a file with a secret cannot be used; holds no part of the secret.
package struct SecretFileError: Error, Sendable, Hashable, CustomStringConvertible {
    package var path: String
    package var reason: String
    /// Whether the file could not be opened at all: it does not exist, or may not be read.
    package var isOpenFailure = false

    package var description: String { "\(path): \(reason)" }

    init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }

    init(_ error: FileError) {
        path = error.path
        switch error.problem {
        case .missing: reason = SystemError("open", ENOENT).reason
        case .notPermitted: reason = SystemError("open", EACCES).reason
        case .isDirectory, .isNotRegular: reason = "expected a file"
        case .tooLarge(let size, let limit):
            reason = "expected at most \(limit) bytes, found \(size)"
        case .truncated(let at, let size): reason = "expected \(size) bytes, could read \(at)"
        case .unopenable(let error), .unreadable(let error): reason = error.reason
        }
        switch error.problem {
        case .missing, .notPermitted, .unopenable: isOpenFailure = true
        default: break
        }
    }
}

/// A file with a secret, read whole.
package struct SecretFile: ~Copyable {
    package let path: String
    package let content: SecretMemory
    private let status: FileStatus

    package static let maximumBytes = 8 << 10

    /// Reads a regular file of at most `maximumBytes`; who else may read it is checked by `checkPermissions`.
    package init(path: String) throws(SecretFileError) {
        let file = try Self.open(path)
        let memory = SecretMemory(count: file.size)
        try Self.read(file, into: memory)
        self.path = path
        content = memory
        status = file.status
    }

    private static func open(_ path: String) throws(SecretFileError) -> RegularFile {
        do throws(FileError) {
            let file = try RegularFile(path: path)
            guard file.size <= maximumBytes else {
                throw FileError(path, .tooLarge(size: file.size, limit: maximumBytes))
            }
            return file
        } catch {
            throw SecretFileError(error)
        }
    }

    private static func read(
        _ file: RegularFile, into memory: borrowing SecretMemory
    ) throws(SecretFileError) {
        do throws(FileError) {
            var bytes = unsafe MutableRawSpan(
                _unsafeStart: memory.bytes, byteCount: memory.count)
            try file.read(at: 0, into: &bytes, range: 0..<memory.count)
        } catch {
            throw SecretFileError(error)
        }
    }

    /// Throws if anybody but the owner may read the file; `remedy` tells the person what to do then.
    package func checkPermissions(remedy: String) throws(SecretFileError) {
        // Files of others, as a service manager lends them, may be readable by a group.
        let forbidden: mode_t = status.owner == geteuid() ? 0o077 : 0o007
        guard status.permissions & forbidden == 0 else {
            throw SecretFileError(
                path: path,
                reason: "expected a file that only its owner may read, found mode "
                    + "\(String(status.permissions & 0o777, radix: 8)); \(remedy), or chmod 600 if "
                    + "nobody has read it")
        }
    }

    /// Reads a file that nobody but its owner may read.
    package static func bytes(
        of path: String, remedy: String
    ) throws(SecretFileError) -> [UInt8] {
        let file = try SecretFile(path: path)
        try file.checkPermissions(remedy: remedy)
        let span = file.content.span
        return span.indices.map { span[$0] }
    }
}
