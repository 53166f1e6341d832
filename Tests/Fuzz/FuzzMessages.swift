// libFuzzer's entry for what comes over the queue and over HTTP: any bytes end in a value that can be
// written and read again, or in an error. Built by scripts/fuzz, not by the package.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// Called with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func parse(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    if let message = try? DispatcherMessage(parsing: bytes) {
        precondition((try? DispatcherMessage(parsing: message.serialized())) == message)
    }
    if let event = try? WorkerEvent(parsing: bytes) {
        precondition((try? WorkerEvent(parsing: event.serialized())) == event)
    }
    _ = try? ExecuteRequest(parsing: bytes)
    return 0
}
