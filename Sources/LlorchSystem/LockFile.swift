// A file that says by its lock that a process is alive; what is in the file does not matter.
// A lock on a file with content: Descriptor.lock.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A locked file; the system releases the lock when the process that holds it ends, however it ends.
package struct LockFile: ~Copyable {
    private let descriptor: Descriptor

    /// Creates the file where there is none; nil where another process holds its lock.
    package init?(path: String) throws(SystemError) {
        let opened = try Descriptor(opening: path, O_RDWR | O_CREAT, mode: 0o600)
        guard try opened.lock() else { return nil }
        descriptor = opened
    }
}
