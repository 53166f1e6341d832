// Memory for keys and tokens that is overwritten before it is given back.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Bytes of a secret: all zero at first, and overwritten at the end of their owner's life.
@safe package struct SecretMemory: ~Copyable, @unchecked Sendable {
    package let bytes: UnsafeMutablePointer<UInt8>
    package let count: Int

    package init(count: Int) {
        unsafe bytes = .allocate(capacity: max(count, 1))
        unsafe bytes.initialize(repeating: 0, count: max(count, 1))
        self.count = count
    }

    deinit {
        unsafe explicit_bzero(bytes, count)
        unsafe bytes.deallocate()
    }

    /// The same memory as characters, for libraries that take and give C strings.
    package var characters: UnsafeMutablePointer<CChar> {
        unsafe UnsafeMutableRawPointer(bytes).assumingMemoryBound(to: CChar.self)
    }

    package var span: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            let buffer = unsafe UnsafeBufferPointer(start: bytes, count: count)
            let span = unsafe Span(_unsafeElements: buffer)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }
}
