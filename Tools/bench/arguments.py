"""The command line of scripts/bench. Needs nothing but Python, and measures nothing."""
# SPDX-License-Identifier: Apache-2.0

import argparse
import os

from bench import plan
from bench.environment import known_peers
from bench.failure import Failure

DESCRIPTION = """\
Measures llorch beside llama.cpp, ONNX Runtime, OpenVINO and CTranslate2, and its tokenizer beside
tiktoken, on one core: for each model, precision and metric every engine once, then all again, one at a
time. Measures the limits of the core in the same run, prints the table of docs/benchmarks.md, and writes
it there with its picture when nothing was left out. Builds the worker first.
"""
EPILOG = """\
models:      {models}
precisions:  {precisions}
metrics:     {metrics}
peers:       {peers}

examples:
  scripts/bench --install-peers                  once; some 20 GB in ~/.cache/llorch-peers, from PyPI
  scripts/bench                                  everything, over an hour; writes docs/benchmarks.*
  scripts/bench --quick                          one round of the smaller model, in minutes
  scripts/bench --precisions q8 --metrics decode,prefill512 --peers llama.cpp --rounds 3
  scripts/bench --table docs/benchmarks.json     the tables again, nothing is measured

environment:
  LLORCH_WORKER  a built llorch-worker to measure, instead of building one
  LLORCH_PEERS   where the peers are, instead of ~/.cache/llorch-peers

Close other programs first: what they use of the memory's bandwidth is missing here.
"""


def lists(**known):
    return {name: ", ".join(values) for name, values in known.items()}


def parser():
    made = argparse.ArgumentParser(
        prog="scripts/bench", description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG.format(**lists(models=plan.MODELS, precisions=plan.PRECISIONS,
                                     metrics=plan.METRICS, peers=plan.PEERS)))
    made.add_argument("--models", metavar="LIST", help="default: all; --quick: the smallest")
    made.add_argument("--precisions", metavar="LIST", help="of llorch; default: all")
    made.add_argument("--metrics", metavar="LIST",
                      help="default: all; --quick: without prefill128 and prefill1000")
    made.add_argument("--peers", metavar="LIST", help="default: all; 'none' for llorch alone")
    made.add_argument("--rounds", type=int, metavar="N",
                      help="that count, after one that does not (default: 5; --quick: 1)")
    made.add_argument("--core", type=int, metavar="N",
                      help="to measure on (default: the last this process may use)")
    made.add_argument("--gguf", metavar="LIST",
                      help="precisions in which llorch reads llama.cpp's GGUF file, not the Hugging "
                      "Face directory, or 'none' (default: all)")
    made.add_argument("--json", metavar="FILE", help="where the samples go (default: .build-bench/last.json)")
    made.add_argument("--picture", metavar="FILE", help="draw an SVG there")
    made.add_argument("--table", metavar="FILE",
                      help="measure nothing; show the samples that --json wrote")
    made.add_argument("--write", action=argparse.BooleanOptionalAction,
                      help="put the results into docs (default: if they are complete and nothing "
                      "else used the core)")
    made.add_argument("--quick", action="store_true", help="see that all is well, in minutes")
    made.add_argument("--install-peers", action="store_true",
                      help="install the peers, all or those of --peers, convert the models for them, "
                      "and end")
    return made


def chosen(option, text, known, default):
    if text is None:
        return default
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise Failure(f"--{option}: there is no {name!r}; known are {', '.join(known)}")
    if not names:
        raise Failure(f"--{option} names nothing; known are {', '.join(known)}")
    # In the order of the tables.
    return [name for name in known if name in names]


def complete(options):
    if options.peers is None:
        options.peers = list(plan.PEERS)
    elif options.peers == "none":
        options.peers = []
    else:
        options.peers = known_peers(options.peers)
    quick = options.quick
    options.models = chosen("models", options.models, plan.MODELS, list(plan.MODELS)[:1 if quick else None])
    options.precisions = chosen(
        "precisions", options.precisions, plan.PRECISIONS, list(plan.PRECISIONS))
    options.metrics = chosen("metrics", options.metrics, plan.METRICS, [
        metric for metric in plan.METRICS
        if not (quick and metric in ("prefill128", "prefill1000"))])
    if options.rounds is None:
        options.rounds = 1 if quick else 5
    if options.rounds < 1:
        raise Failure(f"--rounds must be at least 1, found {options.rounds}")
    if options.core is None:
        options.core = max(os.sched_getaffinity(0))
    if not 0 <= options.core < os.cpu_count():
        raise Failure(f"--core must be from 0 to {os.cpu_count() - 1} here, found {options.core}")
    standard = list(plan.PRECISIONS)
    options.gguf = [] if options.gguf == "none" else chosen(
        "gguf", options.gguf, plan.PRECISIONS, standard)
    options.whole = not quick and options.gguf == standard and all(
        list(known) == mine for known, mine in (
            (plan.MODELS, options.models), (plan.PRECISIONS, options.precisions),
            (plan.METRICS, options.metrics), (plan.PEERS, options.peers)))


if __name__ == "__main__":
    parser().parse_args()
