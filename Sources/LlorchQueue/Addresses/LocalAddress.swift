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

    /// Takes the path where nothing stands, or where a process that held this lock left its socket behind.
    ///
    /// - Throws: when another process holds the address, something else stands at the path, or its folder cannot be
    ///   written.
    init(_ endpoint: QueueEndpoint, path: String) throws(QueueAddressError) {
        do {
            let lockPath = path + ".lock"
            // Before the lock: an address that is refused leaves no file behind.
            let isLockThere = try LocalSocket.occupant(of: lockPath) != .nothing
            if let occupant = try Self.occupant(of: path), !isLockThere {
                throw Obstacle.foreign(path, isAnswered: occupant.isAnswered)
            }
            guard let lock = try LockFile(path: lockPath) else { throw Obstacle.held(lockPath) }
            if let occupant = try Self.occupant(of: path) {
                guard !occupant.isAnswered, try lock.note() == "\(occupant.identity.inode)" else {
                    throw Obstacle.foreign(path, isAnswered: occupant.isAnswered)
                }
                SmallFile.remove(path)
            }
            listener = try LocalSocket.listening(at: path)
            identity = try LocalSocket.occupant(of: path)
            if case .socket(let identity) = identity {
                // A disk without room does not stop the start: the socket is then not known as ours after a crash.
                try? lock.write(note: "\(identity.inode)")
            }
            self.lock = lock
            self.path = path
        } catch {
            throw QueueAddressError(endpoint.address, "\(error)")
        }
    }

    /// The socket at the path; nil where nothing stands.
    private static func occupant(
        of path: String
    ) throws -> (identity: LocalSocket.Identity, isAnswered: Bool)? {
        switch try LocalSocket.occupant(of: path) {
        case .nothing: nil
        case .other: throw Obstacle.noSocket(path)
        case .socket(let identity): (identity, try LocalSocket.isAnswered(path))
        }
    }

    /// Why a path cannot be taken.
    private enum Obstacle: Error, CustomStringConvertible {
        case noSocket(String)
        case held(String)
        case foreign(String, isAnswered: Bool)

        var description: String {
            switch self {
            case .noSocket(let path):
                "\(path) is no socket; it is left as it is, so choose another path"
            case .held(let lockPath):
                "the address is in use (\(lockPath) is held); stop the other process or choose "
                    + "another"
            case .foreign(_, isAnswered: true):
                "the address is in use; stop the other process or choose another"
            case .foreign(let path, isAnswered: false):
                "\(path) is a socket that another program left behind; remove it or choose "
                    + "another path"
            }
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
