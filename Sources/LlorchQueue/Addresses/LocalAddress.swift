// A bound ipc address: its lock, and the socket in the file system that stands for it. libzmq would remove whatever
// has the path, and would let a second process take the address over without an error.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem

/// Holds `PATH.lock` while the address is bound, and removes its own socket at the end, and nothing else.
final class LocalAddress {
    private let path: String
    private let lock: LockFile
    private let listener: Descriptor
    private let identity: LocalSocket.Occupant

    /// Takes the path where nothing stands, or where a process of this lock left its socket behind.
    ///
    /// - Throws: when another process holds the address, something else stands at the path, or its folder cannot be
    ///   written.
    init(_ endpoint: QueueEndpoint, path: String) throws(QueueAddressError) {
        let lockPath = path + ".lock"
        let taken: LockFile?
        let isOurs: Bool
        do throws(SystemError) {
            // Without a lock beside it, a socket at the path was left by another program.
            isOurs = try LocalSocket.occupant(of: lockPath) != .nothing
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
        let obstacle: String?
        do throws(SystemError) {
            obstacle = try Self.obstacle(at: path, isOurs: isOurs)
        } catch {
            throw QueueAddressError(endpoint.address, "\(error)")
        }
        if let obstacle { throw QueueAddressError(endpoint.address, obstacle) }
        do throws(SystemError) {
            listener = try LocalSocket.listening(at: path)
            identity = try LocalSocket.occupant(of: path)
        } catch {
            throw QueueAddressError(endpoint.address, "\(error)")
        }
        self.lock = lock
        self.path = path
    }

    /// Why the path cannot be taken; nil where it is free, which it is made by removing a dead socket of ours.
    private static func obstacle(at path: String, isOurs: Bool) throws(SystemError) -> String? {
        switch try LocalSocket.occupant(of: path) {
        case .nothing:
            return nil
        case .other:
            return "\(path) is no socket; it is left as it is, so choose another path"
        case .socket:
            guard try !LocalSocket.isAnswered(path) else {
                return "the address is in use; stop the other process or choose another"
            }
            guard isOurs else {
                return "\(path) is a socket that another program left behind; remove it or choose "
                    + "another path"
            }
            SmallFile.remove(path)
            return nil
        }
    }

    /// A descriptor of the listening socket that the caller owns.
    func listeningDescriptor() throws(SystemError) -> Int32 { try listener.duplicate() }

    deinit {
        // While the lock is held, so that no successor's socket is removed.
        if let occupant = try? LocalSocket.occupant(of: path), occupant == identity {
            SmallFile.remove(path)
        }
    }
}
