// The address of a socket in the file system, as the system takes it (unix(7)). Sockets that have one:
// LocalSocket.swift, ServiceNotice.swift.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A path, or an abstract name, which begins with a zero byte.
struct LocalSocketAddress: Sendable {
    /// Bytes of the longest path: the system's structure has room for one more, the zero behind it.
    static let maximumBytes = 107

    private let address: sockaddr_un
    private let length: socklen_t

    /// Nil for more than `maximumBytes`.
    init?(_ bytes: [UInt8]) {
        guard bytes.count <= Self.maximumBytes else { return nil }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        self.address = address
        // The length is what ends an abstract name; a path also ends at a zero.
        length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, length)
            }
        }
    }
}
