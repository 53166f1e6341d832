"""Follows every link in the repository's Markdown to a file and, with a #, to a heading in it.

Addresses of other sites are not asked: a check must not depend on them.
"""
# SPDX-License-Identifier: Apache-2.0

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)[^)]*\)")
CODE = re.compile(r"`[^`\n]*`")


def anchors(text):
    """The names a heading can be linked by, as GitHub makes them."""
    for line in FENCE.sub("", text).splitlines():
        if match := re.match(r"#+\s+(.*)", line):
            words = re.sub(r"[^\w\s-]", "", match[1].lower())
            yield words.strip().replace(" ", "-")


def problems(path):
    text = path.read_text(encoding="utf-8")
    for match in LINK.finditer(CODE.sub("", FENCE.sub("", text))):
        target, _, anchor = match[1].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (path.parent / target).resolve() if target else path
        if not file.exists():
            yield f"{target} is not there"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text("utf-8")):
            yield f"{target} has no heading #{anchor}"


def main():
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT,
        stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout.split("\n")
    found = [f"{name}: {problem}" for name in filter(None, names)
             if (ROOT / name).exists() for problem in problems(ROOT / name)]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
