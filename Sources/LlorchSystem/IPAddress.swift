// Addresses of the internet protocols as people write them, and what a name resolves to.
// Addresses of queues, with transports and ports: LlorchQueue/Addresses. No connection is made here.
// SPDX-License-Identifier: Apache-2.0

import Glibc

package enum IPFamily: Sendable, Hashable {
    case v4
    case v6

    /// Whether this machine has the family at all: IPv6 can be switched off.
    package var isSupported: Bool {
        do throws(SystemError) {
            let family = self == .v4 ? AF_INET : AF_INET6
            _ = Descriptor(
                adopting: try SystemCall.check("socket") {
                    socket(family, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
                })
            return true
        } catch {
            return error.code != EAFNOSUPPORT
        }
    }
}

/// A numeric address.
package struct IPAddress: Sendable, Hashable {
    package let family: IPFamily
    /// In network order: 4 or 16.
    private let bytes: [UInt8]

    /// Reads four numbers with dots, or an IPv6 address with or without brackets and with or without a zone (`%eth0`);
    /// nil for anything else, such as a name.
    package init?(_ text: some StringProtocol) {
        var text = String(text)
        if text.hasPrefix("["), text.hasSuffix("]") { text = String(text.dropFirst().dropLast()) }
        guard !text.utf8.contains(0) else { return nil }
        if let bytes = Self.parse(text, AF_INET, count: 4) {
            self.family = .v4
            self.bytes = bytes
            return
        }
        let address = String(text.prefix { $0 != "%" })
        guard let bytes = Self.parse(address, AF_INET6, count: 16) else { return nil }
        family = .v6
        self.bytes = bytes
    }

    private static func parse(_ text: String, _ family: Int32, count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return unsafe inet_pton(family, text, &bytes) == 1 ? bytes : nil
    }

    /// An IPv4 address inside an IPv6 one (`::ffff:127.0.0.1`) counts as the IPv4 address.
    private var embedded: ArraySlice<UInt8> {
        let prefix: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
        return family == .v6 && bytes.starts(with: prefix) ? bytes[12...] : bytes[...]
    }

    /// Whether only this machine reaches the address.
    package var isLoopback: Bool {
        let bytes = embedded
        if bytes.count == 4 { return bytes.first == 127 }
        return bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
    }

    /// Whether binding to the address means all addresses of the machine.
    package var isWildcard: Bool { embedded.allSatisfy { $0 == 0 } }
}

package enum HostName {
    /// The families in which a name has addresses; empty where the name is not known now.
    ///
    /// Asks the system's resolver and waits for its answer.
    package static func families(of name: String) -> Set<IPFamily> {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(name, nil, &hints, &list) == 0 else { return [] }
        defer { unsafe freeaddrinfo(list) }
        var families: Set<IPFamily> = []
        var next = unsafe list
        while let entry = unsafe next {
            switch unsafe entry.pointee.ai_family {
            case AF_INET: families.insert(.v4)
            case AF_INET6: families.insert(.v6)
            default: break
            }
            unsafe next = entry.pointee.ai_next
        }
        return families
    }

    /// This machine's name, as `hostname` prints it, up to the first dot.
    package static var ofThisMachine: String? {
        var bytes = [UInt8](repeating: 0, count: 256)
        let result = unsafe bytes.withUnsafeMutableBytes { buffer in
            let text = unsafe buffer.assumingMemoryBound(to: CChar.self)
            return unsafe text.baseAddress.map { unsafe gethostname($0, text.count - 1) } ?? -1
        }
        let name = bytes.prefix { $0 != 0 && $0 != UInt8(ascii: ".") }
        return result == 0 && !name.isEmpty ? String(validating: name, as: UTF8.self) : nil
    }
}
