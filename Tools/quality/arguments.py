"""The command line of scripts/compare-quality. Needs nothing but Python, and runs nothing."""
# SPDX-License-Identifier: Apache-2.0

import argparse
import pathlib

DEMO = pathlib.Path(__file__).resolve().parents[2] / "models/shakespeare"
DESCRIPTION = """\
Measures what holding weights in fewer bits costs in quality, beside llama.cpp on the same token ids in the
same windows. Prints a Markdown table a model. llama.cpp comes from
scripts/bench --install-peers --peers llama.cpp.
"""
EPILOG = """\
environment:
  LLORCH_WORKER  a built llorch-worker, instead of building one
  LLORCH_PEERS   where llama.cpp is, instead of ~/.cache/llorch-peers
"""


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        prog="scripts/compare-quality", description=DESCRIPTION, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=pathlib.Path, default=[DEMO], metavar="MODEL",
                        help="a Hugging Face directory with vocab.json and merges.txt (default: the "
                        "demo model)")
    parser.add_argument("--file", default=DEMO / "validation.txt", metavar="TEXT",
                        help="UTF-8 text (default: the demo model's validation.txt)")
    parser.add_argument("--tokens", type=int, metavar="N", help="read only the first N tokens of it")
    parser.add_argument("--stride", type=int, metavar="N",
                        help="tokens from window to window (default: the whole context)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="where to write the figures")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()
