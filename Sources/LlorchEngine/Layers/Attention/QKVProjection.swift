// One product, three slices: queries stay in the activations, keys and values go straight to the cache.
// SPDX-License-Identifier: Apache-2.0

/// x·W + b with [Q | K | V] side by side.
package struct QKVProjection: Sendable {
    package let projection: Linear  // [C, 3C]

    package init(projection: Linear) { self.projection = projection }

    package func forward(
        _ x: borrowing Matrix, count: Int, layer: Int, cache: inout KVCache,
        quantized: inout QuantizedRows, into qkv: inout Matrix  // [T, 3C]
    ) {
        projection.forward(x, rows: 0..<count, quantized: &quantized, into: &qkv)
        let width = x.columns
        for t in 0..<count {
            let row = qkv.row(t)
            cache.write(
                key: row.extracting(width..<2 * width),
                value: row.extracting(2 * width..<3 * width),
                layer: layer, position: cache.count + t, kernels: projection.kernels)
        }
    }
}
