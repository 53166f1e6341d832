"""The command line of scripts/check-directories. Needs nothing but Python, and runs nothing."""
# SPDX-License-Identifier: Apache-2.0

import argparse
import pathlib

DESCRIPTION = """\
Writes small model directories, each of which says one thing in its files, and compares the worker with
transformers on each: the ids of texts, greedy ids and the end. A directory must agree, or be refused in the words
that are listed. Prints a table and ends with 1 where one does neither.
"""
EPILOG = """\
environment:
  LLORCH_BIN_DIR  where llorch-worker is, instead of building it
  LLORCH_PYTHON   a Python with torch and another version of transformers, instead of the pinned ones
"""


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        prog="scripts/check-directories", description=DESCRIPTION, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="TEXT", help="the cases whose name has this in it")
    parser.add_argument("--random", type=int, metavar="N",
                        help="N random mixtures of what the cases do, instead of the cases")
    parser.add_argument("--seconds", type=float, metavar="S", help="random mixtures for S seconds")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the mixtures (default: 0)")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR",
                        help="keep the directories that neither agree nor are refused there")
    parser.add_argument("--list", action="store_true", help="the cases, and what is expected of each")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()
