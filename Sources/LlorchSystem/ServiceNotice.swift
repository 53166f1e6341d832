// Tells systemd that the worker is ready, alive or leaving, if systemd set NOTIFY_SOCKET: sd_notify(3).
// With WatchdogSec= in the unit, systemd kills and restarts a worker that no longer says that it is alive.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The socket named in NOTIFY_SOCKET.
package struct ServiceNotice: ~Copyable {
    package enum State: String {
        case ready = "READY=1"
        case alive = "WATCHDOG=1"
        case stopping = "STOPPING=1"
    }

    private let descriptor: Descriptor
    private let address: LocalSocketAddress

    /// Nil if the process was not started with NOTIFY_SOCKET.
    package init?() {
        guard let path = unsafe getenv("NOTIFY_SOCKET") else { return nil }
        self.init(path: unsafe String(cString: path))
    }

    /// Nil for a path that is no absolute or abstract one; `@` begins an abstract one.
    package init?(path: String) {
        var bytes = Array(path.utf8)
        guard bytes.count > 1,
            bytes[0] == UInt8(ascii: "/") || bytes[0] == UInt8(ascii: "@")
        else { return nil }
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        guard let address = LocalSocketAddress(bytes) else { return nil }
        let opened = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | O_CLOEXEC, 0)
        guard opened >= 0 else { return nil }
        self.address = address
        descriptor = Descriptor(adopting: opened)
    }

    /// Sends a notice without waiting; whether systemd receives it is not known.
    package func send(_ state: State) {
        let bytes = Array(state.rawValue.utf8)
        let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
        unsafe address.withPointer { address, length in
            _ = unsafe sendto(descriptor.rawValue, bytes, bytes.count, flags, address, length)
        }
    }
}
