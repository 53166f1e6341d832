"""What the stub engine says: token i of a job as a function of the job's id and i.

The same function in Swift is StubBackend.swift in Tests/StubWorker.
"""
# SPDX-License-Identifier: Apache-2.0

import functools

VOCABULARY = 50_257
_MASK = (1 << 64) - 1


def _hash(job_id, index):
    value = 0xCBF29CE484222325
    for byte in job_id.encode() + index.to_bytes(4, "little"):
        value = ((value ^ byte) * 0x100000001B3) & _MASK
    value = ((value ^ (value >> 33)) * 0xFF51AFD7ED558CCD) & _MASK
    return value ^ (value >> 33)


def token(job_id, index):
    return _hash(job_id, index) % VOCABULARY


def is_held(job_id, index):
    """Whether a token that is not the last comes together with the next one."""
    return (_hash(job_id, index) >> 40) % 8 == 0


@functools.lru_cache(maxsize=1 << 14)
def stream(job_id, count):
    """The ids and the text of a whole answer."""
    ids = [token(job_id, index) for index in range(count)]
    return ids, "".join(f"t{id} " for id in ids)
