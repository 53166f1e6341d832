// Reads one file of bounded size into memory.
// SPDX-License-Identifier: Apache-2.0

import Glibc

enum TokenizerFile {
    /// GPT-2's largest file is 1.4 MB.
    static let maximumBytes = 64 << 20

    /// Nil when there is no such file.
    static func bytes(ifPresentAt path: String) throws(TokenizerError) -> [UInt8]? {
        // Without O_NONBLOCK a pipe of that name would wait for a writer for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            let code = errno
            if code == ENOENT { return nil }
            throw .unreadableFile(path: path, reason: reason(code))
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw .unreadableFile(path: path, reason: reason(errno))
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .unreadableFile(path: path, reason: "it is not a regular file")
        }
        guard status.st_size <= maximumBytes else {
            throw .unreadableFile(
                path: path, reason: "\(status.st_size) bytes, at most \(maximumBytes) expected")
        }
        return try contents(of: descriptor, count: Int(status.st_size), path)
    }

    private static func contents(
        of descriptor: Int32, count: Int, _ path: String
    ) throws(TokenizerError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let result = bytes.withUnsafeMutableBytes { buffer in
                read(descriptor, buffer.baseAddress?.advanced(by: filled), count - filled)
            }
            if result < 0, errno == EINTR { continue }
            guard result >= 0 else {
                throw .unreadableFile(path: path, reason: reason(errno))
            }
            guard result > 0 else {
                throw .unreadableFile(
                    path: path, reason: "\(count) bytes expected, \(filled) found; it was cut short"
                )
            }
            filled += result
        }
        return bytes
    }

    private static func reason(_ code: Int32) -> String {
        strerror(code).map { String(cString: $0) } ?? "error \(code)"
    }
}
