// softmax(q·kᵀ · scale) over the positions a row may see. Each row is computed alone: its numbers do not
// depend on which rows share its tile.
// SPDX-License-Identifier: Apache-2.0

/// Scores and weights of one head for a tile of rows.
package struct AttentionScores: Sendable {
    package let headSize: Int
    /// 1 / √D, unless the configuration says otherwise.
    package let scale: Float

    package init(headSize: Int, scale: Float) {
        self.headSize = headSize
        self.scale = scale
    }

    /// Leaves the weights of tile row i in the first `position + i + 1` columns of row i.
    ///
    /// `qkv` is [T, 3C], of which the queries are used; `tile` are its rows, the first at `position`.
    package func forward<Observer: ActivationObserver>(
        _ qkv: borrowing Matrix, tile: Range<Int>, position: Int, layer: Int, head: Int,
        cache: borrowing KVCache, into weights: inout Matrix, kernels: Kernels,
        observer: inout Observer
    ) {
        let seen = position + tile.count
        let origin = MatrixOrigin(row: tile.lowerBound, column: head * headSize)
        for first in stride(from: 0, to: seen, by: KVCache.panel) {
            kernels.product(
                qkv, at: origin, rows: tile.count, depth: .equal(headSize),
                cache.keyPanel(layer: layer, head: head, panel: first / KVCache.panel),
                of: cache.element, wStride: KVCache.panel,
                columns: min(KVCache.panel, (seen - first).roundedUp(toMultipleOf: 16)),
                into: &weights, at: MatrixOrigin(row: 0, column: first))
        }
        for i in 0..<tile.count {
            let visible = position + i + 1
            var scores = weights.mutableRow(i, width: visible)
            kernels.scale(&scores, by: scale)
            if Observer.isActive {
                observer.observe(
                    .attentionScores,
                    at: ObservationPlace(layer: layer, head: head, row: position + i), rows: 1,
                    columns: visible, values: weights.row(i).extracting(0..<visible))
            }
            var row = weights.mutableRow(i, width: visible)
            kernels.softmax(&row)
        }
    }
}
