// Writes .safetensors bytes, right ones and wrong ones; shares no code with the reader.
// SPDX-License-Identifier: Apache-2.0

/// One tensor of a file to be written.
package struct WrittenTensor: Sendable {
    package var name: String
    /// The format's spelling, `F32`.
    package var dtype: String
    package var shape: [Int]
    package var bytes: [UInt8]

    package init(name: String, dtype: String, shape: [Int], bytes: [UInt8]) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.bytes = bytes
    }

    package init(name: String, shape: [Int], floats: [Float]) {
        self.init(
            name: name, dtype: "F32", shape: shape,
            bytes: floats.flatMap { littleEndianBytes(UInt64($0.bitPattern), count: 4) })
    }

    /// Rounded to the nearest, ties to even.
    package init(name: String, shape: [Int], halves: [Float16]) {
        self.init(
            name: name, dtype: "F16", shape: shape,
            bytes: halves.flatMap { littleEndianBytes(UInt64($0.bitPattern), count: 2) })
    }

    /// The upper halves of the floats.
    package init(name: String, shape: [Int], bfloatsOf floats: [Float]) {
        self.init(
            name: name, dtype: "BF16", shape: shape,
            bytes: floats.flatMap { littleEndianBytes(UInt64($0.bitPattern >> 16), count: 2) })
    }
}

package func littleEndianBytes(_ value: UInt64, count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
}

/// The bytes of a file with these tensors, one after the other.
package func safetensors(_ tensors: [WrittenTensor]) -> [UInt8] {
    var entries = [#""__metadata__":{"format":"pt"}"#]
    var offset = 0
    for tensor in tensors {
        let end = offset + tensor.bytes.count
        entries.append(
            #""\#(tensor.name)":{"dtype":"\#(tensor.dtype)","shape":\#(tensor.shape),"#
                + #""data_offsets":[\#(offset),\#(end)]}"#)
        offset = end
    }
    var header = "{\(entries.joined(separator: ","))}"
    header += String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    return safetensors(header: header, data: tensors.flatMap(\.bytes))
}

/// The bytes of a file with this header, whatever it says.
package func safetensors(header: String, data: [UInt8]) -> [UInt8] {
    littleEndianBytes(UInt64(header.utf8.count), count: 8) + Array(header.utf8) + data
}
