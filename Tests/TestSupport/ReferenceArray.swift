// An array of known shape, read from NumPy's .npy format: what references wrote and the engine is
// compared with. Only what scripts/export-reference writes is read: version 1, little-endian f32,
// rows first.
// SPDX-License-Identifier: Apache-2.0

package import Foundation

package struct ReferenceArray: Sendable, Equatable {
    package var shape: [Int]
    /// Last axis fastest.
    package var values: [Float]

    package init(shape: [Int], values: [Float]) {
        precondition(
            shape.reduce(1, *) == values.count,
            "shape \(shape) does not hold \(values.count) values")
        self.shape = shape
        self.values = values
    }

    /// Why a file is not such an array.
    package struct FormatError: Error, CustomStringConvertible {
        package var description: String
    }

    package init(contentsOf url: URL) throws {
        let bytes = try [UInt8](Data(contentsOf: url))
        func fail(_ reason: String) -> FormatError {
            FormatError(description: "\(url.path): \(reason)")
        }
        // Magic, version 1.0, then the header's length in two bytes, little-endian.
        guard bytes.count >= 10, bytes.starts(with: [0x93] + "NUMPY".utf8), bytes[6] == 1 else {
            throw fail("not a .npy file of version 1")
        }
        let headerEnd = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
        guard headerEnd <= bytes.count else { throw fail("header ends beyond the file") }
        let header = String(decoding: bytes[10..<headerEnd], as: UTF8.self)
        guard header.contains("'descr': '<f4'"), header.contains("'fortran_order': False") else {
            throw fail("expected '<f4' with rows first, found \(header)")
        }
        guard let tuple = header.split(separator: "'shape': (").last?.prefix(while: { $0 != ")" })
        else { throw fail("no shape in \(header)") }
        shape = try tuple.split(separator: ",").map { part in
            guard let extent = Int(part.filter { $0 != " " }) else {
                throw fail("shape (\(tuple)) is not whole numbers")
            }
            return extent
        }
        let count = shape.reduce(1, *)
        guard bytes.count - headerEnd == 4 * count else {
            throw fail("shape \(shape) needs \(4 * count) bytes, found \(bytes.count - headerEnd)")
        }
        values = bytes.withUnsafeBytes { raw in
            (0..<count).map { index in
                Float(
                    bitPattern: UInt32(
                        littleEndian: raw.loadUnaligned(
                            fromByteOffset: headerEnd + 4 * index, as: UInt32.self)))
            }
        }
    }

    /// The largest absolute value; infinities, which stand for masked scores, do not count.
    package var greatestMagnitude: Double {
        values.reduce(0) { $1.isFinite ? max($0, Double(abs($1))) : $0 }
    }

    /// Rows of the second last axis, of an array of rank two.
    package func rows(_ range: Range<Int>) -> ReferenceArray {
        precondition(shape.count == 2, "rows of an array of rank \(shape.count)")
        let columns = shape[1]
        return ReferenceArray(
            shape: [range.count, columns],
            values: Array(values[range.lowerBound * columns..<range.upperBound * columns]))
    }
}
