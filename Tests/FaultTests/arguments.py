"""The command line of scripts/fault-tests. Needs nothing but Python, and runs nothing.

usage: scripts/fault-tests [T1 T6 ...] [--smoke] [--untimed] [--seed N] [--json FILE] [--break RULE] [--list]

Runs the fault tests one after another and prints each figure reached against the figure to reach.

  --smoke        a short representative subset: at most five minutes on an idle machine
  --untimed      print figures of time without judging them, and wait longer: for a machine that is busy
  --seed N       the same faults again; without it a seed is drawn and printed
  --json FILE    figures and measurements, also of tests that went well
  --break RULE   switch one rule of the protocol off: fencing, resend, boot_check, resume, crash_note,
                 replay or tombstones. The tests must then fail.
  --set NAME=N   an argument of the tests, as jobs=500 kills=10
  --list         the ids and titles of the tests, and which of them --smoke runs

environment:
  LLORCH_BIN_DIR   where llorch-worker, stub-worker and llorch-http-shim are, instead of building them
  LLORCH_BASE_DIR  a model of GPT-2's 124M sizes, instead of making one with random weights in .build-models
"""
# SPDX-License-Identifier: Apache-2.0

import argparse
import sys

BREAKS = ("fencing", "resend", "boot_check", "resume", "crash_note", "replay", "tombstones")
HELP = "usage: " + __doc__.split("usage: ", 1)[1]


class Parser(argparse.ArgumentParser):
    """Prints the text above, which also shows what belongs together."""

    def format_help(self):
        return HELP

    def format_usage(self):
        return HELP.split("\n\n")[0] + "\n"


def parser():
    made = Parser(prog="scripts/fault-tests")
    made.add_argument("ids", nargs="*")
    made.add_argument("--smoke", action="store_true")
    made.add_argument("--untimed", action="store_true")
    made.add_argument("--seed", type=int)
    made.add_argument("--json")
    made.add_argument("--break", dest="broken", choices=BREAKS)
    made.add_argument("--set", action="append", default=[])
    made.add_argument("--list", action="store_true")
    return made


if __name__ == "__main__":
    parser().parse_args(sys.argv[1:])
