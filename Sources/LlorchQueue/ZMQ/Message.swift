// One received frame in libzmq's own memory, read in place.
// SPDX-License-Identifier: Apache-2.0

import CZMQ

/// A received message; its bytes are lent, never copied.
@safe package struct ZMQMessage: ~Copyable {
    // libzmq forbids moving the bits of a message, so they stay at one address.
    let pointer: UnsafeMutablePointer<zmq_msg_t>

    init() {
        unsafe pointer = .allocate(capacity: 1)
        unsafe zmq_msg_init(pointer)
    }

    deinit {
        unsafe zmq_msg_close(pointer)
        unsafe pointer.deallocate()
    }

    package var count: Int { unsafe zmq_msg_size(pointer) }

    /// Whether another frame of the same message follows.
    var hasMore: Bool { unsafe zmq_msg_more(pointer) != 0 }

    /// The key of the sender, where this process asked for it when the sender connected.
    package var senderKey: CurvePublicKey? {
        guard let text = unsafe zmq_msg_gets(pointer, "User-Id") else { return nil }
        return unsafe CurvePublicKey(String(cString: text))
    }

    package var bytes: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            let buffer = unsafe UnsafeBufferPointer(
                start: zmq_msg_data(pointer)?.assumingMemoryBound(to: UInt8.self), count: count)
            let span = unsafe Span(_unsafeElements: buffer)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }
}
