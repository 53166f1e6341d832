// Counts allocations while a loaded model works: forward passes with the choice of a token, which must make
// none, and the backend's steps, of which only those with an event may. Judges nothing: it prints figures.
// SPDX-License-Identifier: Apache-2.0

import CAllocationCounter
import Glibc
import LlorchEngine
import LlorchJSON
import LlorchProtocol

@main
struct AllocationGate {
    static let usage = """
        usage: allocation-gate MODEL [--show | --plant]

        Prints one JSON array: allocations for each precision and each kind of work on the model's directory.

          --show   the calls that led to each allocation, on standard error
          --plant  allocates once a token, to show that the counter sees it

        """

    static func main() {
        var arguments = Array(CommandLine.arguments.dropFirst())
        let isShown = arguments.removeFirst("--show")
        let isPlanted = arguments.removeFirst("--plant")
        guard arguments.count == 1, !arguments[0].hasPrefix("-") else {
            print(usage, terminator: "")
            exit(arguments == ["--help"] ? 0 : 2)
        }
        do {
            var writer = JSONWriter()
            writer.beginArray()
            for precision in Precision.allCases {
                guard let kernels = Kernels(.best) else { continue }
                let loaded = try LoadedModel(
                    path: arguments[0], precision: PrecisionChoice(precision), kernels: kernels)
                var meter = Meter(isShown: isShown, isPlanted: isPlanted)
                for work in try EngineWork.measured(loaded, &meter) {
                    work.write(precision, to: &writer)
                }
            }
            writer.endArray()
            print(String(decoding: writer.bytes, as: UTF8.self))
        } catch {
            print("error: \(error)")
            exit(1)
        }
    }
}

extension [String] {
    fileprivate mutating func removeFirst(_ element: String) -> Bool {
        guard let index = firstIndex(of: element) else { return false }
        remove(at: index)
        return true
    }
}

/// Allocations between two moments.
struct Meter {
    let isShown: Bool
    let isPlanted: Bool
    private(set) var allocations: UInt64 = 0
    private(set) var bytes: UInt64 = 0
    /// Kept, so that no optimiser takes the planted allocation away.
    private(set) var planted: [UInt8] = []

    init(isShown: Bool, isPlanted: Bool) {
        self.isShown = isShown
        self.isPlanted = isPlanted
    }

    mutating func reset() {
        allocations = 0
        bytes = 0
    }

    mutating func add(_ other: Meter) {
        allocations += other.allocations
        bytes += other.bytes
    }

    /// Adds up what `body` allocates.
    @inline(__always)
    mutating func measure<Value, Failure: Error>(
        _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let (count, size) = (allocation_count(), allocation_bytes())
        allocation_show(isShown)
        defer {
            allocation_show(false)
            allocations += allocation_count() - count
            bytes += allocation_bytes() - size
        }
        if isPlanted { planted = [UInt8](repeating: 1, count: planted.count + 1) }
        return try body()
    }
}
