"""Perplexity, divergence and agreement of llorch's precisions and llama.cpp's, on the same windows.

Both engines read the same token ids in the same windows, and each is held against itself in f32. That both
mean the same windows is checked: in f32 their log-probabilities must agree token by token.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

import llama_cpp
import numpy

from bench.peers import llama

WORKER = os.environ["LLORCH_WORKER"]
PRECISIONS = ("f32", "bf16", "q8", "q4")
# ftype and whether the head is quantised like everything else; by default Q4_0 keeps it in Q6_K.
VARIANTS = {
    "Q8_0": (llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, False),
    "Q4_0": (llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0, False),
    "Q4_0, pure": (llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0, True),
}
GGML_TYPE_F32 = 0
# Two engines sum in other orders and the one's exp is not the other's; a shifted window is far outside.
LARGEST_DIFFERENCE = 0.02


def worker(*arguments, text=None):
    done = subprocess.run([WORKER, *map(str, arguments)], input=text, stdout=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"llorch-worker {' '.join(map(str, arguments))} failed")
    return json.loads(done.stdout)


def windows(count, length, stride):
    """(first input, end of inputs, first scored input): llorch's, as TextWindows.swift says."""
    scored = start = 0
    while scored < count - 1:
        end = min(start + length, count - 1)
        yield start, end, scored
        scored, start = end, start + stride


class Llama:
    """One model of llama.cpp that gives the logits of every position of a window."""

    def __init__(self, path, length, exact_cache):
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), parameters)
        if not self.model:
            sys.exit(f"libllama does not load {path.name}")
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = settings.n_batch = settings.n_ubatch = length
        settings.n_threads = settings.n_threads_batch = 1
        if exact_cache:
            settings.type_k = settings.type_v = GGML_TYPE_F32
        self.context = llama_cpp.llama_init_from_model(self.model, settings)
        if not self.context:
            sys.exit("libllama makes no context")
        self.size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.batch = llama_cpp.llama_batch_init(length, 0, 1)

    def logits(self, ids):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        self.batch.n_tokens = len(ids)
        for index, token in enumerate(ids):
            self.batch.token[index] = token
            self.batch.pos[index] = index
            self.batch.n_seq_id[index] = 1
            self.batch.seq_id[index][0] = 0
            self.batch.logits[index] = 1
        if llama_cpp.llama_decode(self.context, self.batch):
            sys.exit("llama_decode failed")
        pointer = llama_cpp.llama_get_logits(self.context)
        return numpy.ctypeslib.as_array(pointer, (len(ids), self.size)).copy()

    def close(self):
        llama_cpp.llama_batch_free(self.batch)
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)


def log_softmax(logits):
    shifted = logits.astype(numpy.float64) - logits.max(axis=1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True))


class Tally:
    def __init__(self):
        self.nats, self.divergence, self.same = [], 0.0, 0

    def add(self, logits, expected, targets):
        # A few rows at a time: in double precision a window of GPT-2's vocabulary is large.
        for first in range(0, len(targets), 64):
            part = slice(first, first + 64)
            found, base = log_softmax(logits[part]), log_softmax(expected[part])
            self.nats.extend(found[numpy.arange(len(found)), targets[part]])
            self.divergence += float((numpy.exp(base) * (base - found)).sum())
            self.same += int((found.argmax(axis=1) == base.argmax(axis=1)).sum())

    def row(self):
        count = len(self.nats)
        return {"perplexity": math.exp(-sum(self.nats) / count),
                "divergence": self.divergence / count, "agreement": self.same / count}


def measure_llama(directory, folder, ids, length, stride):
    """Rows by variant, and f32's log-probabilities."""
    silence = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(silence, None)
    llama_cpp.llama_backend_init()
    paths = {"F32": folder / "f32.gguf"}
    llama.write(directory, paths["F32"], "f32")
    for name, (ftype, pure) in VARIANTS.items():
        parameters = llama_cpp.llama_model_quantize_default_params()
        parameters.ftype, parameters.pure, parameters.nthread = ftype, pure, 1
        paths[name] = folder / f"{name}.gguf"
        source = str(paths["F32"]).encode()
        if llama_cpp.llama_model_quantize(source, str(paths[name]).encode(), parameters):
            sys.exit(f"llama_model_quantize does not make {name}")
    exact = Llama(paths.pop("F32"), length, exact_cache=True)
    others = {name: Llama(path, length, exact_cache=False) for name, path in paths.items()}
    tallies = {name: Tally() for name in ("F32", *others)}
    for start, end, scored in windows(len(ids), length, stride):
        expected = exact.logits(ids[start:end])[scored - start:]
        targets = numpy.array(ids[scored + 1:end + 1])
        tallies["F32"].add(expected, expected, targets)
        for name, model in others.items():
            tallies[name].add(model.logits(ids[start:end])[scored - start:], expected, targets)
    for model in (exact, *others.values()):
        model.close()
    return {name: tally.row() for name, tally in tallies.items()}, numpy.array(tallies["F32"].nats)


def measure_llorch(directory, options, stride):
    rows, nats = {}, None
    for precision in PRECISIONS:
        arguments = ["perplexity", "--model", directory, "--file", options.file, "--special-tokens",
                     "--stride", stride, "--precision", precision, "--json"]
        if options.tokens:
            arguments += ["--tokens", options.tokens]
        if precision == "f32":
            answer = worker(*arguments, "--per-token")
            nats = numpy.array(answer["log_probabilities"])
            rows[precision] = {"perplexity": answer["perplexity"], "divergence": 0.0, "agreement": 1.0}
        else:
            answer = worker(*arguments, "--against", "f32")
            rows[precision] = {"perplexity": answer["perplexity"],
                               "divergence": answer["against"]["divergence"],
                               "agreement": answer["against"]["agreement"]}
    return rows, nats


def table(engines):
    lines = ["| | perplexity | against its own f32 | divergence, nats | same likeliest token |",
             "|---|---:|---:|---:|---:|"]
    for engine, rows in engines.items():
        base = next(iter(rows.values()))["perplexity"]
        for index, (name, row) in enumerate(rows.items()):
            changes = ["", "", ""] if index == 0 else [
                f"{(row['perplexity'] / base - 1) * 100:+.3f} %", f"{row['divergence']:.6f}",
                f"{row['agreement'] * 100:.2f} %"]
            lines.append(f"| {engine} {name} | {row['perplexity']:.4f} | " + " | ".join(changes) + " |")
    return "\n".join(lines)


def compare(directory, options):
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    length = config["n_positions"]
    stride = options.stride or length
    text = pathlib.Path(options.file).read_bytes()
    ids = worker("tokenize", "--model", directory, "--special-tokens", "--json", text=text)
    ids = ids[:options.tokens]
    ours, our_nats = measure_llorch(directory, options, stride)
    with tempfile.TemporaryDirectory() as folder:
        theirs, their_nats = measure_llama(directory, pathlib.Path(folder), ids, length, stride)
    if len(our_nats) != len(their_nats):
        sys.exit(f"{len(our_nats)} predictions here, {len(their_nats)} there: not the same windows")
    difference = float(numpy.abs(our_nats - their_nats).max())
    if difference > LARGEST_DIFFERENCE:
        sys.exit(f"in f32 the engines differ by {difference:.4f} nats in one token: not the same windows")
    engines = {"llorch": ours, "llama.cpp": theirs}
    print(f"{directory.name}: {len(ids):,} tokens of {pathlib.Path(options.file).name}, windows of "
          f"{length}, stride {stride}; in f32 the engines differ by at most {difference:.1e} nats in a "
          f"token.\n\n{table(engines)}\n", flush=True)
    return {"model": directory.name, "tokens": len(ids), "window": length, "stride": stride,
            "largest_difference": difference, "engines": engines}
