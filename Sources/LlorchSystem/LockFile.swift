// A file that says by its lock that a process is alive, and a note in it for the process that holds the lock next.
// A lock on a file with content of its own: Descriptor.lock.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A locked file; the system releases the lock when the process that holds it ends, however it ends.
package struct LockFile: ~Copyable {
    private let descriptor: Descriptor

    /// Bytes of every note, so that a shorter one leaves nothing of a longer one.
    private static let noteBytes = 32

    /// Creates the file where there is none; nil where another process holds its lock.
    package init?(path: String) throws(SystemError) {
        let opened = try Descriptor(opening: path, O_RDWR | O_CREAT, mode: 0o600)
        guard try opened.lock() else { return nil }
        descriptor = opened
    }

    /// What the last process that held the lock noted; empty where none did.
    package func note() throws(SystemError) -> String {
        let bytes = try descriptor.bytes(at: 0, count: Self.noteBytes)
        return String(decoding: bytes.prefix { $0 > UInt8(ascii: " ") }, as: UTF8.self)
    }

    /// Replaces the note by a word of at most 31 ASCII characters.
    package func write(note: String) throws(SystemError) {
        var bytes = Array(note.utf8.prefix(Self.noteBytes - 1))
        bytes += [UInt8](repeating: UInt8(ascii: " "), count: Self.noteBytes - 1 - bytes.count)
        try descriptor.write((bytes + [UInt8(ascii: "\n")]).span, at: 0)
    }
}
