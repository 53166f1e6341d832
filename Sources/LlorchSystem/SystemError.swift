// errno as a typed error, and the one place where an interrupted system call is made again.
// Errors of libzmq, which has numbers of its own: LlorchQueue/ZMQ/ZMQError.swift.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A system call that failed.
package struct SystemError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The call, and what it was called for where that helps: `open /run/llorch/boot`.
    package var call: String
    /// The value of `errno` that the call left.
    package var code: Int32

    package init(_ call: String, _ code: Int32) {
        self.call = call
        self.code = code
    }

    /// The system's words for the code, such as `Permission denied`.
    package var reason: String {
        unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
    }

    package var description: String { "\(call): \(reason)" }
}

/// Calls of the system that answer with -1 and `errno`.
enum SystemCall {
    /// Makes the call until no signal interrupts it.
    ///
    /// - Returns: what the call returned, never negative.
    /// - Throws: `SystemError` with the name given and the call's `errno`.
    static func check<Result: SignedInteger>(
        _ name: @autoclosure () -> String, _ call: () -> Result
    ) throws(SystemError) -> Result {
        while true {
            let result = call()
            if result >= 0 { return result }
            let code = errno
            if code != EINTR { throw SystemError(name(), code) }
        }
    }
}
