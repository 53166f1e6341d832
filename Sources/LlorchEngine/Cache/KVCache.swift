// Keys and values of every position seen, for all layers, in the order in which attention reads them.
// One per backend, allocated once; not shared between jobs. Paging and prefix reuse would live here.
// SPDX-License-Identifier: Apache-2.0

/// The memory of one job.
///
/// Invariants: between steps every layer holds `count` positions, and `count ≤ contextLength`. Keys lie in
/// panels of 64 positions, [L][H][S / 64][D][64], because scores are computed with lanes = positions;
/// values lie position by position, [L][H][S][D], because their sums are computed with lanes = D.
package struct KVCache: ~Copyable {
    package let layerCount: Int
    package let headCount: Int
    package let headSize: Int
    package let contextLength: Int
    /// S: positions that hold keys and values.
    package private(set) var count = 0

    /// Positions side by side in a key panel.
    static let panel = 64
    /// Floats of one position's values: D rounded up to the kernels' lanes.
    let valueStride: Int
    private let panelsPerHead: Int
    private var keys: Matrix  // [L·H·(S / 64), D·64]
    private var values: Matrix  // [L·H, S·D]

    package init(layerCount: Int, headCount: Int, headSize: Int, contextLength: Int) {
        self.layerCount = layerCount
        self.headCount = headCount
        self.headSize = headSize
        self.contextLength = contextLength
        valueStride = headSize.roundedUp(toMultipleOf: 16)
        panelsPerHead = contextLength.roundedUp(toMultipleOf: Self.panel) / Self.panel
        keys = Matrix(
            rows: layerCount * headCount * panelsPerHead, columns: headSize * Self.panel)
        values = Matrix(rows: layerCount * headCount, columns: contextLength * valueStride)
    }

    /// Bytes held, whether used or not.
    package var byteCount: Int { keys.byteCount + values.byteCount }

    // MARK: - Writing

    /// Writes one position's key and value of one layer; `advance(by:)` makes it count.
    ///
    /// - Parameters:
    ///   - key: [C], the heads one after the other.
    ///   - value: [C], likewise.
    package mutating func write(
        key: Span<Float>, value: Span<Float>, layer: Int, position: Int
    ) {
        precondition(
            position >= count && position < contextLength,
            "position \(position) with \(count) of \(contextLength) held")
        precondition(
            key.count == headCount * headSize && value.count == key.count,
            "keys have \(key.count) columns, the cache expects \(headCount * headSize)")
        let (headSize, headCount) = (headSize, headCount)
        let lane = position % Self.panel
        let slot = position * valueStride
        for head in 0..<headCount {
            let first = head * headSize
            let keyRow = keyRow(layer, head, position / Self.panel)
            var panel = keys.mutableRow(keyRow)
            for d in 0..<headSize { panel[d * Self.panel + lane] = key[first + d] }
            let valueRow = layer * headCount + head
            var row = values.mutableRow(valueRow)
            for d in 0..<headSize { row[slot + d] = value[first + d] }
        }
    }

    /// Counts positions that every layer has written.
    package mutating func advance(by positions: Int) {
        precondition(
            positions >= 0 && count + positions <= contextLength,
            "\(count) + \(positions) positions of \(contextLength)")
        count += positions
    }

    /// Forgets all positions; the memory stays.
    package mutating func reset() { count = 0 }

    /// Keeps the first `length` positions.
    package mutating func truncate(to length: Int) {
        precondition(length >= 0 && length <= count, "truncated to \(length) of \(count)")
        count = length
    }

    // MARK: - Reading

    /// The keys of 64 positions of one head, [D][64]; positions that are not written hold what was there.
    @_lifetime(borrow self)
    func keyPanel(layer: Int, head: Int, panel: Int) -> Span<Float> {
        keys.row(keyRow(layer, head, panel))
    }

    /// The values of one head, [S][valueStride].
    @_lifetime(borrow self)
    func headValues(layer: Int, head: Int) -> Span<Float> {
        values.row(layer * headCount + head)
    }

    /// One position's key, [D]; for tests and inspection.
    package func key(layer: Int, head: Int, position: Int) -> [Float] {
        let panel = keyPanel(layer: layer, head: head, panel: position / Self.panel)
        return (0..<headSize).map { panel[$0 * Self.panel + position % Self.panel] }
    }

    /// One position's value, [D]; for tests and inspection.
    package func value(layer: Int, head: Int, position: Int) -> [Float] {
        let values = headValues(layer: layer, head: head)
        return (0..<headSize).map { values[position * valueStride + $0] }
    }

    private func keyRow(_ layer: Int, _ head: Int, _ panel: Int) -> Int {
        (layer * headCount + head) * panelsPerHead + panel
    }
}
