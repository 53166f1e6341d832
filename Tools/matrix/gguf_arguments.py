"""The options of scripts/check-gguf; run as a program, it checks a command line and does nothing else."""
# SPDX-License-Identifier: Apache-2.0

import argparse
import pathlib


def arguments():
    made = argparse.ArgumentParser(prog="scripts/check-gguf", description=(
        "Compares ids, end marks and greedy answers of generated GGUF files with llama.cpp's: each file is equal, or "
        "is refused with one sentence. Exit status 1 where one is neither."))
    made.add_argument("--worker", type=pathlib.Path, help=argparse.SUPPRESS)
    made.add_argument("--recorded", action="store_true", help="take llama.cpp's answers from the record")
    made.add_argument("--record", action="store_true", help="write the record anew")
    made.add_argument("--case", action="append", help="only this file; may be given several times")
    made.add_argument("--random", type=int, default=0, metavar="N", help="N files with several random changes instead")
    made.add_argument("--seconds", type=float, default=0, metavar="S", help="such files for S seconds; only faults are listed")
    made.add_argument("--seed", type=int, default=1, help="of the first random file (default: 1)")
    made.add_argument("--list", action="store_true", help="print the names of the files")
    return made


if __name__ == "__main__":
    arguments().parse_args()
