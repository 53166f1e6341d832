// Keeps a second process from taking over an ipc address, which libzmq would allow without an error.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem

/// Holds `PATH.lock` while an ipc address is bound, and removes the socket's path at the end.
package struct AddressLock: ~Copyable {
    private let path: String
    private let lock: LockFile

    /// Nil for addresses other than ipc addresses that are bound: the system itself guards ports.
    ///
    /// - Throws: when another process holds the address, or its folder cannot be written.
    package init?(_ endpoint: QueueEndpoint) throws(QueueAddressError) {
        guard endpoint.direction == .bind, let path = endpoint.path else { return nil }
        let lockPath = path + ".lock"
        let taken: LockFile?
        do throws(SystemError) {
            taken = try LockFile(path: lockPath)
        } catch {
            throw QueueAddressError(endpoint.address, "\(error)")
        }
        guard let lock = taken else {
            throw QueueAddressError(
                endpoint.address,
                "the address is in use (\(lockPath) is held); stop the other process or choose "
                    + "another")
        }
        self.lock = lock
        self.path = path
    }

    deinit {
        // While the lock is held, so that no successor's socket is removed.
        SmallFile.remove(path)
    }
}
