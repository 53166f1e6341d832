// Keys and values of every position seen, for all layers, in the order in which attention reads them.
// Each backend has one, allocated once and used by one job at a time.
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
    /// How keys and values are held: at `f16` a token has half the bytes to read.
    package let element: CacheElement
    /// S: positions that hold keys and values.
    package private(set) var count = 0

    /// Positions side by side in a key panel.
    static let panel = 64
    /// Elements of one position's values: D rounded up to the kernels' lanes.
    let valueStride: Int
    private let panelsPerHead: Int
    private var keys: ElementRows  // [L·H·(S / 64), D·64]
    private var values: ElementRows  // [L·H, S·D]
    private var narrowed: [UInt16]  // [C]: one key or value on its way

    package init(
        layerCount: Int, headCount: Int, headSize: Int, contextLength: Int,
        element: CacheElement = .f32
    ) throws(MemoryShortage) {
        let valueStride = headSize.roundedUp(toMultipleOf: 16)
        let panelsPerHead = contextLength.roundedUp(toMultipleOf: Self.panel) / Self.panel
        let keys = try ElementRows(
            rows: layerCount * headCount * panelsPerHead,
            byteCount: headSize * Self.panel * element.byteCount)
        let values = try ElementRows(
            rows: layerCount * headCount,
            byteCount: contextLength * valueStride * element.byteCount)
        self.layerCount = layerCount
        self.headCount = headCount
        self.headSize = headSize
        self.contextLength = contextLength
        self.element = element
        self.valueStride = valueStride
        self.panelsPerHead = panelsPerHead
        self.keys = keys
        self.values = values
        narrowed = [UInt16](repeating: 0, count: headCount * headSize)
    }

    /// Bytes held, whether used or not.
    package var byteCount: Int { keys.byteCount + values.byteCount }

    // MARK: - Writing

    /// Writes one position's key and value of one layer; `advance(by:)` makes it count.
    ///
    /// Both are [C], the heads one after the other.
    package mutating func write(
        key: Span<Float>, value: Span<Float>, layer: Int, position: Int, kernels: Kernels
    ) {
        precondition(
            position >= count && position < contextLength,
            "position \(position) with \(count) of \(contextLength) held")
        precondition(
            key.count == headCount * headSize && value.count == key.count,
            "keys have \(key.count) columns, the cache expects \(headCount * headSize)")
        switch element {
        case .f32:
            scatter(key: key, layer: layer, position: position)
            scatter(value: value, layer: layer, position: position)
        case .f16:
            // Taken out of self while it is read, so that self may be written.
            var halves: [UInt16] = []
            swap(&halves, &narrowed)
            var target = halves.mutableSpan
            kernels.narrow(key, into: &target)
            scatter(key: halves.span, layer: layer, position: position)
            target = halves.mutableSpan
            kernels.narrow(value, into: &target)
            scatter(value: halves.span, layer: layer, position: position)
            swap(&halves, &narrowed)
        }
    }

    @inline(__always)
    private mutating func scatter<Number: BitwiseCopyable>(
        key: Span<Number>, layer: Int, position: Int
    ) {
        for head in 0..<headCount {
            keys.set(
                key.extracting(head * headSize..<(head + 1) * headSize),
                row: keyRow(layer, head, position / Self.panel), from: position % Self.panel,
                step: Self.panel)
        }
    }

    @inline(__always)
    private mutating func scatter<Number: BitwiseCopyable>(
        value: Span<Number>, layer: Int, position: Int
    ) {
        for head in 0..<headCount {
            values.set(
                value.extracting(head * headSize..<(head + 1) * headSize),
                row: layer * headCount + head, from: position * valueStride, step: 1)
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
    func keyPanel(layer: Int, head: Int, panel: Int) -> RawSpan {
        keys.row(keyRow(layer, head, panel))
    }

    /// The values of one head, [S][valueStride].
    @_lifetime(borrow self)
    func headValues(layer: Int, head: Int) -> RawSpan {
        values.row(layer * headCount + head)
    }

    /// One position's key, [D]; for tests and inspection.
    package func key(layer: Int, head: Int, position: Int) -> [Float] {
        let row = keyRow(layer, head, position / Self.panel)
        return (0..<headSize).map {
            keys.float(row: row, at: $0 * Self.panel + position % Self.panel, element)
        }
    }

    /// One position's value, [D]; for tests and inspection.
    package func value(layer: Int, head: Int, position: Int) -> [Float] {
        let row = layer * headCount + head
        return (0..<headSize).map {
            values.float(row: row, at: position * valueStride + $0, element)
        }
    }

    private func keyRow(_ layer: Int, _ head: Int, _ panel: Int) -> Int {
        (layer * headCount + head) * panelsPerHead + panel
    }
}
