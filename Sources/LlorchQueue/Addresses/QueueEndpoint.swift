// An address of one of the three pipes of LLQ/1, and which side of the pipe this process takes.
// What is opened there, and with which options: QueueSocket.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchSystem

/// A libzmq address and which side of it this process takes: `bind:tcp://127.0.0.1:5601`.
package struct QueueEndpoint: Sendable, Hashable, CustomStringConvertible {
    package enum Direction: String, Sendable, Hashable {
        case bind
        case connect
    }

    package let direction: Direction
    /// Without the prefix.
    package let address: String

    /// Reads an address with or without a `bind:` or `connect:` prefix.
    ///
    /// With `mayBeExposed`, it may be bound where other machines reach it.
    /// - Throws: when the transport is none of tcp, ipc and inproc, the port is no port, or a bind
    ///   would be reachable from other machines and must not be.
    package init(
        parsing text: String, default direction: Direction, mayBeExposed: Bool = false
    ) throws(QueueAddressError) {
        var direction = direction
        var address = text[...]
        for candidate in [Direction.bind, .connect] where text.hasPrefix(candidate.rawValue + ":") {
            direction = candidate
            address = text.dropFirst(candidate.rawValue.count + 1)
        }
        self.direction = direction
        self.address = String(address)
        try check(as: text)
        if isExposed, !mayBeExposed {
            throw QueueAddressError(
                text,
                "refusing to listen beyond this machine without CURVE: give --curve-secret-key and "
                    + "--curve-allowed-keys, or bind 127.0.0.1 or an ipc path")
        }
    }

    package var description: String { "\(direction.rawValue):\(address)" }

    /// The path of an ipc address; an abstract name (`@name`) and a path that libzmq chooses (`*`) are none.
    package var filePath: String? {
        guard let path, !path.hasPrefix("@"), path != "*" else { return nil }
        return path
    }

    /// What an ipc address names.
    package var path: String? {
        address.hasPrefix("ipc://") ? String(address.dropFirst(6)) : nil
    }

    /// The port; nil for one that the system chooses (`*`), and for other transports than tcp.
    package var port: UInt16? { hostAndPort.flatMap { UInt16($0.port) } }

    /// Why the address works but is unwise; nil if it is not.
    package var warning: String? {
        guard let port, port >= 32_768 else { return nil }
        return "port \(port) lies where the system takes ports for outgoing connections, so a "
            + "reconnecting peer can occupy it; choose one below 32768"
    }

    /// The family of a numeric host; nil for a name, an interface, `*`, and other transports.
    package var family: IPFamily? { hostAndPort.flatMap { IPAddress($0.host)?.family } }

    /// The host to connect to if it is a name.
    package var name: String? {
        guard direction == .connect, let host = hostAndPort?.host, IPAddress(host) == nil else {
            return nil
        }
        return String(host)
    }

    private var hostAndPort: (host: Substring, port: Substring)? {
        guard address.hasPrefix("tcp://") else { return nil }
        let rest = address.dropFirst(6)
        guard let colon = rest.lastIndex(of: ":") else { return (rest, "") }
        return (rest[..<colon], rest[rest.index(after: colon)...])
    }

    private func check(as text: String) throws(QueueAddressError) {
        let limit = LocalSocket.maximumPathBytes
        if let path {
            guard !path.isEmpty, path.utf8.count <= limit, !path.utf8.contains(0) else {
                throw QueueAddressError(text, "an ipc path has 1 to \(limit) bytes")
            }
            return
        }
        if address.hasPrefix("inproc://"), address.utf8.count > 9 { return }
        guard let (host, port) = hostAndPort else {
            throw QueueAddressError(
                text, "expected tcp://HOST:PORT or ipc://PATH, with bind: or connect: before it")
        }
        let isWildcard = direction == .bind && port == "*"
        guard isWildcard || UInt16(port).map({ $0 > 0 }) ?? false else {
            throw QueueAddressError(text, "expected a port of 1 to 65535 after the last colon")
        }
        guard !host.isEmpty, !host.utf8.contains(0) else {
            throw QueueAddressError(text, "expected a host before the port")
        }
        guard !host.contains(where: { "[]:".contains($0) }) || IPAddress(host) != nil else {
            throw QueueAddressError(
                text, "expected an IPv6 address in brackets before the port, for example [::1]:5601"
            )
        }
    }

    /// Whether other machines may reach what is bound here.
    package var isExposed: Bool {
        guard direction == .bind, let host = hostAndPort?.host else { return false }
        return !Self.isLoopback(host)
    }

    /// Whether it connects to another machine.
    package var isElsewhere: Bool {
        guard direction == .connect, let host = hostAndPort?.host else { return false }
        return !Self.isLoopback(host)
    }

    /// Whether it is bound to all addresses of the machine, so that it names none to connect to.
    package var isWildcard: Bool {
        guard direction == .bind, let host = hostAndPort?.host else { return false }
        return host == "*" || IPAddress(host)?.isWildcard == true
    }

    /// Whether only this machine reaches what is bound to a host.
    package static func isLoopback(_ host: Substring) -> Bool {
        IPAddress(host)?.isLoopback ?? ["localhost", "lo"].contains(host)
    }
}
