// Too little memory for weights, cache or buffers: an error, because how much a model needs is known only once its
// files are read. Who asks for such blocks: PageArena.swift, ElementRows.swift, Matrix.swift.
// SPDX-License-Identifier: Apache-2.0

/// The system gives no block of a size that a model needs.
package struct MemoryShortage: Error, Sendable, Hashable, CustomStringConvertible {
    /// Bytes of the block.
    package var needed: Int
    /// Bytes of the largest block that could be had instead.
    package var left: Int

    package init(needed: Int, left: Int) {
        self.needed = needed
        self.left = left
    }

    package var description: String {
        "not enough memory: a block of \(needed) bytes is needed, one of \(left) is left; raise the "
            + "limit of memory (ulimit -v, MemoryMax=), or take a smaller model or a precision of "
            + "fewer bits"
    }
}
