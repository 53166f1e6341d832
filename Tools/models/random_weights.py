"""Seeded weights of any shape and the safetensors file they go into. Which tensors there are is decided by
scripts/make-random-model.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import math
import struct

import numpy as np

# The name in a safetensors header, and in config.json.
DTYPES = {"f32": ("F32", "float32"), "f16": ("F16", "float16"), "bf16": ("BF16", "bfloat16")}


class NormalValues:
    """Nearly normal values, mean 0 and variance 1: sums of eight uniform 16-bit numbers.

    Sums of integers and one multiplication, no libm: hence the same everywhere. None is beyond 4.9.
    """

    # One number that is uniform on 0..65535 has the variance (2^32 - 1) / 12.
    SCALE = np.float32(1.0 / (8 * (2.0**32 - 1) / 12) ** 0.5)
    # Values made at a time; part of the definition of the sequence.
    BLOCK = 1 << 16

    def __init__(self, seed):
        self.bits = np.random.Philox(seed)

    def take(self, count):
        values = np.empty(count, np.float32)
        for start in range(0, count, self.BLOCK):
            block = values[start : start + self.BLOCK]
            parts = self.bits.random_raw(2 * len(block)).astype("<u8", copy=False).view("<u2")
            block[:] = parts.reshape(8, len(block)).sum(axis=0, dtype=np.int32) - 4 * 65535
            block *= self.SCALE
        return values


def stored(values, dtype):
    """Little-endian bytes, rounded to the nearest, ties to even."""
    if dtype == "f16":
        return values.astype("<f2").tobytes()
    if dtype == "bf16":
        bits = values.view(np.uint32)
        bits = bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))
        return (bits >> np.uint32(16)).astype("<u2").tobytes()
    return values.astype("<f4", copy=False).tobytes()


def write_safetensors(path, entries, dtype, values):
    """Writes one file; `values` gives the floats of each entry in turn."""
    size = 4 if dtype == "f32" else 2
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, _, _ in entries:
        end = offset + size * math.prod(shape)
        header[name] = {"dtype": DTYPES[dtype][0], "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape, mean, deviation in entries:
            array = values.take(math.prod(shape))
            array *= np.float32(deviation)
            array += np.float32(mean)
            file.write(stored(array, dtype))
    return offset
