// Small files with secrets in them: read whole, into memory that is wiped, and from their owner only.
// What is in them: CurveKeyFile.swift, and the shim's token.
// SPDX-License-Identifier: Apache-2.0

import Glibc

package enum SecretFile {
    static let maximumBytes = 8 << 10

    /// Reads a file that nobody else may read; `remedy` is what to do where somebody may.
    package static func bytes(
        of path: String, remedy: String
    ) throws(CurveKeyError) -> [UInt8] {
        var found = stat()
        let content = try contents(of: path, &found)
        try check(found, path, remedy: remedy)
        return content.span.indices.map { content.span[$0] }
    }

    static func contents(of path: String) throws(CurveKeyError) -> SecretMemory {
        var status = stat()
        return try contents(of: path, &status)
    }

    static func check(
        _ status: stat, _ path: String, remedy: String
    ) throws(CurveKeyError) {
        // Others' files, as a service manager lends them, may be readable by a group.
        let forbidden: mode_t = status.st_uid == geteuid() ? 0o077 : 0o007
        guard status.st_mode & forbidden == 0 else {
            throw CurveKeyError(
                path,
                "expected a file that only its owner may read, found mode "
                    + "\(String(status.st_mode & 0o777, radix: 8)); \(remedy), or chmod 600 if "
                    + "nobody has read it")
        }
    }

    static func contents(
        of path: String, hint: String = "", _ status: inout stat
    ) throws(CurveKeyError) -> SecretMemory {
        // A pipe in place of a file must not hold the process up.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw CurveKeyError(path, "\(ZMQError(rawValue: errno))\(hint)")
        }
        defer { close(descriptor) }
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw CurveKeyError(path, "expected a file")
        }
        guard status.st_size <= maximumBytes else {
            throw CurveKeyError(
                path, "expected at most \(maximumBytes) bytes, found \(status.st_size)")
        }
        let size = Int(status.st_size)
        let content = SecretMemory(count: size)
        var count = 0
        while count < size {
            let result = unsafe read(descriptor, content.bytes + count, size - count)
            if result < 0, errno == EINTR { continue }
            guard result > 0 else {
                throw CurveKeyError(path, "expected \(size) bytes, could read \(count)")
            }
            count += result
        }
        return content
    }
}
