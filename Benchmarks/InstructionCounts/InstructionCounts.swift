// Runs one piece of the engine once, of fixed size, for callgrind to count. Neither counts nor times: that is
// scripts/count-instructions, which collects inside `countedRegion` only.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchEngine

@main
struct InstructionCounts {
    static func main() {
        let arguments = CommandLine.arguments.dropFirst()
        if arguments == ["--list"] {
            for piece in Piece.all { print(piece.dependsOnLevel ? "kernel" : "swift", piece.name) }
            return
        }
        guard arguments.count == 2, let name = arguments.first, let last = arguments.last,
            let piece = Piece.all.first(where: { $0.name == name }),
            let level = InstructionSet(rawValue: last), let kernels = Kernels(level)
        else {
            print("usage: instruction-counts --list | PIECE generic|avx2|avx512")
            exit(2)
        }
        do {
            try piece.run(kernels)
        } catch {
            print("error: \(error)")
            exit(1)
        }
    }
}

/// Callgrind switches on where this begins and off where it ends; its name is in the script.
@inline(never)
func countedRegion(_ body: () -> Void) {
    body()
}
