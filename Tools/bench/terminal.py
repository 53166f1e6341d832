"""What a person sees while it runs: headings, lines, and one line that changes, on a terminal only."""
# SPDX-License-Identifier: Apache-2.0

import os
import shutil
import sys


def coloured(stream):
    return (stream.isatty() and "NO_COLOR" not in os.environ
            and os.environ.get("TERM") != "dumb")


def paint(stream=sys.stdout):
    """A function: text and the name of a colour to the text in it, for this stream."""
    codes = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "blue": 34}
    if not coloured(stream):
        return lambda text, colour: text
    return lambda text, colour: f"\x1b[{codes[colour]}m{text}\x1b[0m"


class Progress:
    """Lines on standard error, so that tables alone are on standard output."""

    def __init__(self):
        self.stream, self.paint = sys.stderr, paint(sys.stderr)
        self.live = coloured(sys.stderr)

    def heading(self, text):
        self.line(f"\n{self.paint('▸ ' + text, 'blue')}")

    def note(self, text):
        self.line(f"  {self.paint(text, 'dim')}")

    def warn(self, text):
        self.line(f"  {self.paint(text, 'yellow')}")

    def line(self, text):
        self.clear()
        print(text, file=self.stream, flush=True)

    def now(self, text):
        """What is being done, until something else is said."""
        if self.live:
            width = shutil.get_terminal_size().columns - 3
            print(f"\r\x1b[K  {text[:width]}", end="", file=self.stream, flush=True)

    def clear(self):
        if self.live:
            print("\r\x1b[K", end="", file=self.stream, flush=True)
