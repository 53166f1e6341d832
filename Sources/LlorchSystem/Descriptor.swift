// An owned file descriptor: opened, read, written, locked and closed here and nowhere else.
// Whole files: RegularFile.swift, SecretFile.swift and SmallFile.swift. Sockets of ZeroMQ: LlorchQueue/ZMQ.
// SPDX-License-Identifier: Apache-2.0

package import Glibc

/// A file descriptor that is closed at the end of its owner's life, and not inherited by children.
package struct Descriptor: ~Copyable, Sendable {
    package let rawValue: Int32

    /// Takes over a descriptor that nobody else closes.
    package init(adopting rawValue: Int32) {
        precondition(rawValue >= 0, "descriptor \(rawValue)")
        self.rawValue = rawValue
    }

    /// Opens `path` with the flags of open(2); `O_CLOEXEC` is always added.
    package init(
        opening path: String, _ flags: Int32, mode: mode_t = 0
    ) throws(SystemError) {
        rawValue = try SystemCall.check("open \(path)") {
            unsafe PathText.withCString(path) { unsafe open($0, flags | O_CLOEXEC, mode) }
        }
    }

    /// Opens `path` for reading and writing; a file that does not exist is created for its owner only.
    package init(openingOrCreating path: String) throws(SystemError) {
        try self.init(opening: path, O_RDWR | O_CREAT, mode: 0o600)
    }

    deinit { close(rawValue) }

    /// Another descriptor of the same open file, for a library that closes what it is given.
    package func duplicate() throws(SystemError) -> Int32 {
        try SystemCall.check("fcntl") { fcntl(rawValue, F_DUPFD_CLOEXEC, 3) }
    }

    /// What fstat(2) says of the file.
    package func status() throws(SystemError) -> FileStatus {
        var status = stat()
        _ = try SystemCall.check("fstat") { unsafe fstat(rawValue, &status) }
        return FileStatus(status)
    }

    /// Takes an exclusive lock, held until the descriptor is closed; false where another process has it.
    package func lock() throws(SystemError) -> Bool {
        do {
            _ = try SystemCall.check("flock") { flock(rawValue, LOCK_EX | LOCK_NB) }
            return true
        } catch  where error.code == EWOULDBLOCK {
            return false
        }
    }

    /// Waits until the file's bytes are on its disk.
    package func synchronize() throws(SystemError) {
        _ = try SystemCall.check("fsync") { fsync(rawValue) }
    }

    // MARK: - Reading

    /// Reads what comes next, at most `buffer.count` bytes; 0 at the end.
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        try SystemCall.check("read") {
            unsafe Glibc.read(rawValue, buffer.baseAddress, buffer.count)
        }
    }

    /// Reads from a descriptor that somebody else owns, such as standard input, which may be non-blocking.
    static func read(
        from descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer
    ) throws(SystemError) -> Int {
        try whenReady(descriptor, POLLIN) { () throws(SystemError) in
            try SystemCall.check("read") {
                unsafe Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            }
        }
    }

    /// Makes a call again once a descriptor that is not ready has become so.
    private static func whenReady(
        _ descriptor: Int32, _ event: Int32, _ call: () throws(SystemError) -> Int
    ) throws(SystemError) -> Int {
        while true {
            do throws(SystemError) {
                return try call()
            } catch  where error.code == EAGAIN {
                var entry = pollfd(fd: descriptor, events: Int16(event), revents: 0)
                _ = try SystemCall.check("poll") { unsafe poll(&entry, 1, -1) }
            }
        }
    }

    /// Fills `buffer` with what begins at byte `offset`; answers with fewer bytes only where the file ends.
    package func read(
        at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(SystemError) -> Int {
        var done = 0
        while done < buffer.count {
            let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = try SystemCall.check("pread") {
                unsafe pread(
                    rawValue, rest.baseAddress, min(rest.count, Self.largestRead),
                    off_t(offset) + off_t(done))
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// The bytes from byte `offset` on, `count` of them or as many as the file has.
    package func bytes(at offset: Int, count: Int) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        let held = try unsafe span.withUnsafeMutableBytes { buffer throws(SystemError) in
            try unsafe read(at: offset, into: buffer)
        }
        return Array(bytes.prefix(held))
    }

    /// Bytes that one call of the system reads at most, so that a signal is not kept waiting long.
    private static let largestRead = 16 << 20

    // MARK: - Writing

    /// Writes all of `bytes`, however many calls that takes.
    package func write(_ bytes: Span<UInt8>) throws(SystemError) {
        try Self.write(bytes, to: rawValue)
    }

    /// Writes to a descriptor that somebody else owns, such as standard output, which may be non-blocking.
    static func write(_ bytes: Span<UInt8>, to descriptor: Int32) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            done += try unsafe bytes.withUnsafeBytes { buffer throws(SystemError) in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[done...])
                return try whenReady(descriptor, POLLOUT) { () throws(SystemError) in
                    try SystemCall.check("write") {
                        unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
                    }
                }
            }
        }
    }

    /// Writes all of `bytes` from byte `offset` of the file on.
    package func write(_ bytes: Span<UInt8>, at offset: Int) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            done += try unsafe bytes.withUnsafeBytes { buffer throws(SystemError) in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[done...])
                return try SystemCall.check("pwrite") {
                    unsafe pwrite(
                        rawValue, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
                }
            }
        }
    }
}

/// What a path or a descriptor leads to.
package struct FileStatus: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case file
        case directory
        case socket
        case other
    }

    package var kind: Kind
    /// In bytes.
    package var size: Int
    /// The permission bits of chmod(1).
    package var permissions: mode_t
    /// The user id that the file belongs to.
    package var owner: uid_t

    init(_ status: stat) {
        kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .directory
            case S_IFSOCK: .socket
            default: .other
            }
        size = max(0, Int(status.st_size))
        permissions = status.st_mode & 0o7777
        owner = status.st_uid
    }
}
