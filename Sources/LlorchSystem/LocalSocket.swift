// Sockets in the file system (unix(7)): listening at a path, and whether anybody listens there.
// Sockets of the network and of ZeroMQ: LlorchQueue/ZMQ. Which paths may be taken: LlorchQueue/Addresses.
// SPDX-License-Identifier: Apache-2.0

import Glibc

package enum LocalSocket {
    package static let maximumPathBytes = LocalSocketAddress.maximumBytes

    /// Who a file is, beyond its path: another file that takes the path has another identity.
    package struct Identity: Sendable, Hashable {
        fileprivate let device: UInt
        /// The file's number on its device, which stays the same when the machine starts again.
        package let inode: UInt
    }

    /// What stands at a path, links not followed.
    package enum Occupant: Sendable, Hashable {
        case nothing
        case socket(Identity)
        /// A file, a directory, a link, a device.
        case other
    }

    package static func occupant(of path: String) throws(SystemError) -> Occupant {
        var status = stat()
        do throws(SystemError) {
            _ = try SystemCall.check("stat \(path)") { unsafe lstat(path, &status) }
        } catch {
            guard error.code == ENOENT else { throw error }
            return .nothing
        }
        guard FileStatus(status).kind == .socket else { return .other }
        return .socket(Identity(device: UInt(status.st_dev), inode: UInt(status.st_ino)))
    }

    /// Whether a process listens at the path; a socket of another kind than a stream counts as answered.
    package static func isAnswered(_ path: String) throws(SystemError) -> Bool {
        let client = try stream()
        let address = try address(of: path)
        do throws(SystemError) {
            _ = try SystemCall.check("connect \(path)") {
                unsafe address.withPointer { unsafe connect(client.rawValue, $0, $1) }
            }
            return true
        } catch {
            return error.code != ECONNREFUSED && error.code != ENOENT
        }
    }

    /// A socket that listens at a path where nothing stands.
    package static func listening(at path: String) throws(SystemError) -> Descriptor {
        let socket = try stream()
        let address = try address(of: path)
        _ = try SystemCall.check("bind") {
            unsafe address.withPointer { unsafe bind(socket.rawValue, $0, $1) }
        }
        _ = try SystemCall.check("listen") { listen(socket.rawValue, 100) }
        return socket
    }

    private static func stream() throws(SystemError) -> Descriptor {
        let type = Int32(
            SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        return Descriptor(
            adopting: try SystemCall.check("socket") { socket(AF_UNIX, type, 0) })
    }

    private static func address(of path: String) throws(SystemError) -> LocalSocketAddress {
        guard let address = LocalSocketAddress(Array(path.utf8)) else {
            throw SystemError("bind", ENAMETOOLONG)
        }
        return address
    }
}
