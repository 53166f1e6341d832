// The errors of libzmq, and the one place that turns its results into errors.
// A call that would block is no error: sends answer false, receives nil.
// SPDX-License-Identifier: Apache-2.0

import CZMQ
import Glibc

/// A value of `errno` left by libzmq.
package struct ZMQError: Error, RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    package let rawValue: Int32

    package init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    package static let wouldBlock = ZMQError(rawValue: EAGAIN)
    package static let interrupted = ZMQError(rawValue: EINTR)
    package static let addressInUse = ZMQError(rawValue: EADDRINUSE)
    package static let noSuchDevice = ZMQError(rawValue: ENODEV)
    package static let addressNotAvailable = ZMQError(rawValue: EADDRNOTAVAIL)
    package static let notPermitted = ZMQError(rawValue: EACCES)
    package static let familyNotSupported = ZMQError(rawValue: EAFNOSUPPORT)
    package static let invalidArgument = ZMQError(rawValue: EINVAL)
    package static let contextTerminated = ZMQError(rawValue: firstOfLibzmq + 53)

    package var description: String {
        unsafe String(cString: zmq_strerror(rawValue))
    }

    /// Calls libzmq until it is not interrupted; nil where it would block.
    static func check(_ call: () -> Int32) throws(ZMQError) -> Int32? {
        while true {
            let result = call()
            if result >= 0 { return result }
            let error = ZMQError(rawValue: zmq_errno())
            switch error {
            case .interrupted: continue
            case .wouldBlock: return nil
            default: throw error
            }
        }
    }
}

/// libzmq's own errors have numbers from here on, beyond those of the system.
private let firstOfLibzmq: Int32 = 156_384_712
