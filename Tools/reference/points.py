"""The observation points, their tolerances and how two arrays are compared.

The names are those of `ObservationPoint` in the engine; the tolerances are the checkpoints'. All references
use this file; the engine's tests have the same comparison in Swift.

SPDX-License-Identifier: Apache-2.0
"""

import numpy as np

# Largest absolute difference allowed in the first block, in the order of the computation.
TOLERANCES = {
    "embedding": 1e-6,
    "attentionNorm": 1e-5,
    "query": 1e-4,
    "key": 1e-4,
    "value": 1e-4,
    "attentionScores": 1e-4,
    "attentionOutput": 1e-4,
    "feedForwardNorm": 1e-4,
    "feedForwardOutput": 1e-4,
    "blockOutput": 1e-4,
    "finalNorm": 1e-3,
    "logits": 1e-3,
    "probabilities": 1e-6,
}


def tolerance(point, layer, array):
    """In the first block and outside the blocks as in the table.

    In later blocks relative to the greatest value, which grows from block to block: to 3000 in the real models,
    where f32 itself has steps of 2e-4.
    """
    if layer in (None, 0):
        return TOLERANCES[point]
    return TOLERANCES[point] * max(1.0, float(np.abs(array[np.isfinite(array)]).max()))


class Recording(dict):
    """Arrays by (point, layer); layer is None outside the blocks.

    Shapes: attentionScores (heads, rows, positions) with minus infinity where masked; all else (rows, columns).
    """

    def record(self, point, layer, array):
        assert point in TOLERANCES, point
        self[point, layer] = np.ascontiguousarray(array, dtype=np.float32)


def largest_difference(left, right):
    """Infinity when shapes, infinities or NaNs differ; equal infinities (masked scores) count as no difference."""
    if left.shape != right.shape or np.isnan(left).any() or np.isnan(right).any():
        return float("inf")
    left64, right64 = left.astype(np.float64), right.astype(np.float64)
    unequal = left64 != right64
    return float(np.abs(left64[unequal] - right64[unequal]).max()) if unequal.any() else 0.0
