"""The sizes of the demo model, its dropout, and the mark that introduces each scene of its text."""
# SPDX-License-Identifier: Apache-2.0

END_OF_TEXT = "<|endoftext|>"

GEOMETRY = {
    "vocab_size": 2048,
    "n_positions": 256,
    "n_embd": 192,
    "n_layer": 4,
    # Heads of 64, as in every GPT-2; smaller ones cost more time for the same width.
    "n_head": 3,
}
LAYER_NORM_EPSILON = 1e-5
DROPOUT = 0.1
# What training makes the residual stream carry is large, and the checkpoints' tolerances for it are absolute.
# A power of two, so that no weight is rounded by it.
RESIDUAL_SCALE = 0.25
SEED = 1616
