"""The limits of one core: measured by roofline.c, and what they mean for a model.

A decoded token cannot be faster than reading the weights once; a prompt not faster than the multiplier.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import pathlib
import shutil
import subprocess

from bench.failure import Failure
from bench.plan import METRICS, MODELS, PRECISIONS

SOURCE = pathlib.Path(__file__).with_name("roofline.c")


def build(directory):
    """Compiles the probe for this processor; a Failure says what is missing."""
    compiler = next(filter(None, map(shutil.which, ("clang", "gcc", "cc"))), None)
    if compiler is None:
        raise Failure("no C compiler was found for the limits: put Swift's clang or a gcc in PATH")
    program = pathlib.Path(directory) / "roofline"
    done = subprocess.run(
        [compiler, "-O3", "-march=native", "-Wall", "-Wextra", "-o", program, SOURCE],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    if done.returncode:
        raise Failure(f"roofline.c does not compile here: {done.stdout.strip().splitlines()[-1]}")
    return program


def measure(program, pin, megabytes=512):
    """{"read": bytes/s, "f32": operations/s, "bf16": …, "int8": …}"""
    done = subprocess.run([program, str(megabytes)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, preexec_fn=pin, encoding="utf-8", timeout=120)
    if done.returncode:
        raise Failure(f"the probe of the limits ended with {done.returncode}")
    return json.loads(done.stdout)


def tokens_per_second(limits, model, precision, metric):
    """The most that these limits allow, or None where there is none to speak of."""
    shape, kind, test = MODELS[model], PRECISIONS[precision], METRICS[metric]
    if not limits or not test.tokens:
        return None
    if test.generated:
        read = (shape.matrix_weights + shape.small_weights + shape.table_weights) * kind.weight_bytes
        if test.depth >= 512:  # A short cache is nothing beside the weights.
            read += shape.cache_bytes(test.depth + test.generated // 2, kind.cache_bytes)
        return limits["read"] / read
    # Attention sees half of the prompt on average; the head is computed for its last row alone.
    operations = (2 * shape.matrix_weights + 2 * shape.width * shape.layers * test.prompt
                  + 2 * shape.table_weights / test.prompt)
    return limits[kind.rate] / operations
