"""Writes GGUF files byte by byte, so that files can be made that no converter writes.

Not a reader, and no source of models: what is in the files is said in gguf_cases.py.
"""
# SPDX-License-Identifier: Apache-2.0

import struct

import numpy as np

NUMBERS = {"u8": (0, "B"), "i8": (1, "b"), "u16": (2, "H"), "i16": (3, "h"), "u32": (4, "I"),
           "i32": (5, "i"), "f32": (6, "f"), "bool": (7, "?"), "u64": (10, "Q"), "i64": (11, "q"),
           "f64": (12, "d")}
TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 8, "BF16": 30}


def text(value, order="<"):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack(order + "Q", len(raw)) + raw


def value(kind, given, order="<"):
    """A value with its type: `str`, `strs`, a number, or a number with an `s` for an array of them."""
    if kind == "str":
        return struct.pack(order + "I", 8) + text(given, order)
    if kind == "strs":
        return struct.pack(order + "IIQ", 9, 8, len(given)) + b"".join(text(v, order) for v in given)
    if kind in NUMBERS:
        number, form = NUMBERS[kind]
        return struct.pack(order + "I", number) + struct.pack(order + form, given)
    number, form = NUMBERS[kind.removesuffix("s")]
    return (struct.pack(order + "IIQ", 9, number, len(given))
            + struct.pack(f"{order}{len(given)}{form}", *given))


def blocks(array, kind):
    """A float array as bytes of one type; rows of blocks are whole blocks."""
    array = np.ascontiguousarray(array, np.float32)
    if kind == "F32":
        return array.tobytes()
    if kind == "F16":
        return array.astype(np.float16).tobytes()
    if kind == "BF16":
        bits = array.view(np.uint32).astype(np.uint64)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16).tobytes()
    groups = array.reshape(-1, 32)
    if kind == "Q8_0":
        scale = (np.abs(groups).max(axis=1, keepdims=True) / 127).astype(np.float16)
        steps = np.round(groups / np.where(scale == 0, 1, scale).astype(np.float32))
        body = np.clip(steps, -127, 127).astype(np.int8).view(np.uint8)
    else:
        extreme = np.take_along_axis(groups, np.abs(groups).argmax(axis=1, keepdims=True), axis=1)
        scale = (extreme / -8).astype(np.float16)
        steps = np.round(groups / np.where(scale == 0, 1, scale).astype(np.float32)) + 8
        steps = np.clip(steps, 0, 15).astype(np.uint8)
        body = steps[:, :16] | steps[:, 16:] << 4
    return np.concatenate([scale.view(np.uint8), body], axis=1).tobytes()


def write(path, metadata, tensors, *, version=3, order="<", alignment=32, after=b""):
    """`metadata` is a list of (key, kind, value); `tensors` a list of (name, array, type)."""
    head = b"GGUF" + struct.pack(order + "IQQ", version, len(tensors), len(metadata))
    for key, kind, given in metadata:
        head += text(key, order) + value(kind, given, order)
    data = b""
    for name, array, kind in tensors:
        data += bytes(-len(data) % alignment)
        head += text(name, order) + struct.pack(order + "I", array.ndim)
        for size in reversed(array.shape):
            head += struct.pack(order + "Q", size)
        head += struct.pack(order + "IQ", TYPES[kind], len(data))
        data += blocks(array, kind)
    data += bytes(-len(data) % alignment)
    path.write_bytes(head + bytes(-len(head) % alignment) + data + after)
    return path
