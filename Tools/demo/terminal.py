"""What scripts/demo shows: headings, notes, commands, and text as it comes. Colour for people only."""
# SPDX-License-Identifier: Apache-2.0

import os
import shlex
import sys

IS_TERMINAL = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
COLOURS = IS_TERMINAL and "NO_COLOR" not in os.environ
BOLD, DIM, RED, GREEN, BLUE, CYAN, PLAIN = (
    f"\x1b[{code}m" if COLOURS else "" for code in ("1", "2", "31", "32", "34", "36", "0"))


class Failure(Exception):
    """What went wrong, in a sentence."""


def heading(text):
    print(f"\n{BOLD}{BLUE}▸ {text}{PLAIN}", flush=True)


def note(text):
    print(f"  {DIM}{text}{PLAIN}", flush=True)


def good(text):
    print(f"  {GREEN}✓{PLAIN} {text}", flush=True)


def passing(text):
    """A line that the next one overwrites; only where a person looks."""
    if IS_TERMINAL:
        print(f"\r\x1b[K  {DIM}{text[:76]}{PLAIN}", end="", flush=True)


def no_passing():
    if IS_TERMINAL:
        print("\r\x1b[K", end="", flush=True)


def show_command(command):
    print(f"  {DIM}$ {shlex.join(command)}{PLAIN}", flush=True)


class TextPane:
    """Text as it comes, set off by a margin."""

    def __init__(self):
        self.at_line_start = True

    def show(self, text):
        for character in text:
            if self.at_line_start:
                sys.stdout.write(f"  {CYAN}│{PLAIN} ")
            sys.stdout.write(character)
            self.at_line_start = character == "\n"
        sys.stdout.flush()

    def close(self):
        if not self.at_line_start:
            print(flush=True)
