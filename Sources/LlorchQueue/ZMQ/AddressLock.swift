// Keeps a second process from taking over an ipc address: libzmq would let it, silently.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchSystem

/// Holds `PATH.lock` while an ipc address is bound, and removes the socket's path at the end.
package struct AddressLock: ~Copyable {
    private let path: String
    private let descriptor: Int32

    /// Nil for addresses that the system guards itself.
    ///
    /// - Throws: when another process holds the address, or its folder cannot be written.
    package init?(_ endpoint: QueueEndpoint) throws(QueueAddressError) {
        guard endpoint.direction == .bind, let path = endpoint.path else { return nil }
        let lockPath = path + ".lock"
        let opened = unsafe open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard opened >= 0 else {
            throw QueueAddressError(
                endpoint.address, "\(SystemError("open \(lockPath)", errno))")
        }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
            close(opened)
            throw QueueAddressError(
                endpoint.address,
                "the address is in use (\(lockPath) is held); stop the other process or choose "
                    + "another")
        }
        self.path = path
        descriptor = opened
    }

    deinit {
        unsafe unlink(path)
        close(descriptor)
    }
}
