"""One engine in one process, asked in JSON lines: `python -m bench.peers ROOT ENGINE MODEL VARIANT`.

{"do": "prepare"}, {"do": "load"}, {"do": "prefill", "count": n}, {"do": "decode", "depth": n, "count": n}
and {"do": "encode", "path": p} are answered by {"seconds": s} or {"error": text}; the first line says that
the library is imported. For an encoder MODEL is the folder of the tokenizer.
"""
# SPDX-License-Identifier: Apache-2.0

import importlib
import json
import os
import pathlib
import sys
import time

MODULES = {"llama.cpp": "llama", "onnxruntime": "onnx_runtime", "openvino": "openvino",
           "ctranslate2": "ctranslate2"}


def perform(engine, wish):
    kind = wish["do"]
    if kind in ("prepare", "load"):
        start = time.perf_counter()
        getattr(engine, kind)()
        return {"seconds": time.perf_counter() - start}
    if kind == "prefill":
        return {"seconds": engine.prefill(wish["count"])}
    if kind == "decode":
        return {"seconds": engine.decode(wish["depth"], wish["count"])}
    seconds, tokens = engine.encode(wish["path"])
    return {"seconds": seconds, "tokens": tokens}


def main(root, name, model, variant):
    # Libraries write to standard output too; the answers have it for themselves.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(value):
        print(json.dumps(value), file=answers, flush=True)

    try:
        if name in MODULES:
            module = importlib.import_module(f"bench.peers.{MODULES[name]}")
            engine = module.Engine(pathlib.Path(root), model, variant)
        else:
            engine = importlib.import_module("bench.peers.encoders").Engine(pathlib.Path(model), name)
    except Exception as error:
        return answer({"error": f"{type(error).__name__}: {error}"})
    answer({"ready": True})
    for line in sys.stdin:
        try:
            answer(perform(engine, json.loads(line)))
        # Whatever it is, it is this engine's, and the others go on.
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main(*sys.argv[1:])
