// The four classes of Unicode scalars that the pre-tokenizer tells apart, by table.
// Not Swift's own properties: their Unicode version changes with the toolchain, ids must not.
// SPDX-License-Identifier: Apache-2.0

/// Raw values as in UnicodeTable.swift.
package enum ScalarClass: UInt8, Sendable {
    case other
    case letter
    case number
    case space
}

/// Class of every scalar in two steps: a page of 256 scalars, then the scalar in it.
package struct ScalarClassTable: Sendable {
    /// Offset into `classes` of each page; the 4 uniform pages are shared.
    private let pages: [UInt32]
    private let classes: [ScalarClass]

    package static let shared = ScalarClassTable(changes: scalarClassChanges)

    private static let pageCount = 0x11_0000 >> 8

    private init(changes: [UInt32]) {
        var pages: [UInt32] = []
        pages.reserveCapacity(Self.pageCount)
        var classes: [ScalarClass] = []
        for uniform: ScalarClass in [.other, .letter, .number, .space] {
            classes.append(contentsOf: repeatElement(uniform, count: 256))
        }
        var next = 0
        var current = ScalarClass.other
        for page in 0..<UInt32(Self.pageCount) {
            let start = page << 8
            if next == changes.count || changes[next] >> 2 >= start + 256 {
                pages.append(UInt32(current.rawValue) << 8)
                continue
            }
            pages.append(UInt32(classes.count))
            for scalar in start..<start + 256 {
                if next < changes.count, changes[next] >> 2 == scalar {
                    current = ScalarClass(rawValue: UInt8(changes[next] & 3)) ?? .other
                    next += 1
                }
                classes.append(current)
            }
        }
        self.pages = pages
        self.classes = classes
    }

    /// - Precondition: `scalar` is below 0x110000.
    @inline(__always)
    package subscript(scalar: UInt32) -> ScalarClass {
        classes[Int(pages[Int(scalar >> 8)] + (scalar & 0xFF))]
    }
}
