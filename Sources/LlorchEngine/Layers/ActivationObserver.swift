// Named points of the forward pass at which a test can look: the checkpoints so test the code that is shipped. Without
// an observer the compiler removes the calls.
// The idea is llama.cpp's named-tensor callback (examples/eval-callback).
// SPDX-License-Identifier: Apache-2.0

/// The intermediate values that have a name.
package enum ObservationPoint: String, Sendable, Hashable, CaseIterable {
    case embedding
    case attentionNorm
    case query
    case key
    case value
    /// Scaled, before softmax; masked positions are not given.
    case attentionScores
    /// After the projection, before the residual is added.
    case attentionOutput
    case feedForwardNorm
    case feedForwardOutput
    case blockOutput
    case finalNorm
    case logits
}

/// Where an observation belongs.
package struct ObservationPlace: Sendable, Hashable {
    /// Nil outside the blocks.
    package var layer: Int?
    /// For attention scores only.
    package var head: Int?
    /// Position of the first row given.
    package var row: Int

    package init(layer: Int? = nil, head: Int? = nil, row: Int) {
        self.layer = layer
        self.head = head
        self.row = row
    }
}

/// Listens to a forward pass.
package protocol ActivationObserver {
    /// False lets the compiler remove the taps.
    static var isActive: Bool { get }

    /// - Parameters:
    ///   - point: which value of the forward pass this is.
    ///   - place: the layer, the head and the position that the value belongs to.
    ///   - rows: number of rows in `values`.
    ///   - columns: width of a row.
    ///   - values: `rows` × `columns`, row by row; valid during the call only.
    mutating func observe(
        _ point: ObservationPoint, at place: ObservationPlace, rows: Int, columns: Int,
        values: Span<Float>)
}

extension ActivationObserver {
    package static var isActive: Bool { true }
}

/// An observer that ignores everything.
package struct NoObserver: ActivationObserver {
    package static let isActive = false

    package init() {}

    @inline(__always)
    package mutating func observe(
        _ point: ObservationPoint, at place: ObservationPlace, rows: Int, columns: Int,
        values: Span<Float>
    ) {}
}

extension Matrix {
    /// Gives rows [0, count) to the observer, one at a time because rows are padded.
    @inline(__always)
    func observe<Observer: ActivationObserver>(
        _ point: ObservationPoint, at place: ObservationPlace, count: Int,
        _ observer: inout Observer
    ) {
        guard Observer.isActive else { return }
        for t in 0..<count {
            var rowPlace = place
            rowPlace.row += t
            observer.observe(point, at: rowPlace, rows: 1, columns: columns, values: row(t))
        }
    }
}
