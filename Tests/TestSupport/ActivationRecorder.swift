// Keeps everything the forward pass shows, and puts it together in the shapes of the reference
// arrays.
// SPDX-License-Identifier: Apache-2.0

package import LlorchEngine

package struct ActivationRecorder: ActivationObserver {
    private struct Place: Hashable {
        var point: ObservationPoint
        var layer: Int?
    }

    private struct Block {
        var head: Int?
        var firstRow: Int
        var rows: Int
        var columns: Int
        var values: [Float]
    }

    private var blocks: [Place: [Block]] = [:]

    package init() {}

    package mutating func observe(
        _ point: ObservationPoint, at place: ObservationPlace, rows: Int, columns: Int,
        values: Span<Float>
    ) {
        let block = Block(
            head: place.head, firstRow: place.row, rows: rows, columns: columns,
            values: values.indices.map { values[$0] })
        blocks[Place(point: point, layer: place.layer), default: []].append(block)
    }

    /// What was seen at one point, nil where nothing was.
    ///
    /// Rows by columns; attention scores heads by rows by positions, minus infinity where not
    /// given. Row 0 is the first one seen, whatever its position.
    package func array(_ point: ObservationPoint, layer: Int? = nil) -> ReferenceArray? {
        guard let seen = blocks[Place(point: point, layer: layer)], !seen.isEmpty else {
            return nil
        }
        let first = seen.map(\.firstRow).min() ?? 0
        let rows = (seen.map { $0.firstRow + $0.rows }.max() ?? 0) - first
        let heads = (seen.compactMap(\.head).max() ?? 0) + 1
        let columns = seen.map(\.columns).max() ?? 0
        // Scores: one matrix for each head. All else: heads side by side in one matrix.
        let isScores = point == .attentionScores
        var values = [Float](
            repeating: isScores ? -.infinity : .nan, count: heads * rows * columns)
        for block in seen {
            for row in 0..<block.rows {
                let target = block.firstRow - first + row
                let head = block.head ?? 0
                let start =
                    isScores
                    ? (head * rows + target) * columns : (target * heads + head) * columns
                for column in 0..<block.columns {
                    values[start + column] = block.values[row * block.columns + column]
                }
            }
        }
        return ReferenceArray(
            shape: isScores ? [heads, rows, columns] : [rows, heads * columns], values: values)
    }
}
