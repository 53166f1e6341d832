// Waits for sockets and file descriptors together. A set is made anew for each wait, because all sets here are tiny.
// SPDX-License-Identifier: Apache-2.0

import CZMQ
import LlorchSystem

/// A set of things to wait for.
@safe package struct ZMQPoller {
    package struct Interest: OptionSet, Sendable, Hashable {
        package let rawValue: Int16

        package init(rawValue: Int16) {
            self.rawValue = rawValue
        }

        package static let readable = Interest(rawValue: Int16(ZMQ_POLLIN))
        package static let writable = Interest(rawValue: Int16(ZMQ_POLLOUT))
    }

    private var items: [zmq_pollitem_t] = unsafe []
    private var handles: [SocketHandle] = []

    package init() {}

    package mutating func add(_ socket: borrowing ZMQSocket, _ interest: Interest) {
        handles.append(socket.handle)
        unsafe items.append(
            zmq_pollitem_t(
                socket: socket.handle.pointer, fd: -1, events: interest.rawValue, revents: 0))
    }

    package mutating func add(descriptor: Int32) {
        unsafe items.append(
            zmq_pollitem_t(
                socket: nil, fd: descriptor, events: Interest.readable.rawValue, revents: 0))
    }

    /// Waits until something is ready, the time is over, or a signal was handled.
    package mutating func wait(atMost time: Duration) throws(ZMQError) {
        // Rounded up: rounded down, a wait for a moment in less than a millisecond would end before it.
        let milliseconds = max(0, (time + .nanoseconds(999_999)).wholeMilliseconds)
        let result = unsafe zmq_poll(&items, Int32(items.count), Int(milliseconds))
        if result >= 0 { return }
        let error = ZMQError(rawValue: zmq_errno())
        if error != .interrupted { throw error }
    }
}
