"""Runs every script with --help, and with an option that it does not have, where nothing is installed.

The place is a copy of the files that git knows, without .venv and without build folders. PATH holds a shell, a few
tools that every system has, and a Python without packages: no swift, no pip, no apt-get, no sudo, no curl. Each
script must print its usage there and end with 0 (--help) or 2 (the option), and must leave no file behind.
"""
# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ("awk", "basename", "bash", "cat", "dirname", "env", "grep", "head", "mktemp", "rm", "sed", "sh", "sort",
         "tail", "uname")
# What a script with a mistake in its command line must not reach.
FORBIDDEN = ("apt-get", "curl", "pip", "sudo", "swift")


def copy_of_repository(target):
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", ".ci", "scripts", "Tools", "Tests/*.py",
         "Tests/FaultTests"],
        cwd=ROOT, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def bare_path(folder):
    """A folder for PATH. Its Python sees its own library and nothing that pip installed."""
    folder.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        if found is None:
            sys.exit(f"check_help: {name} is not in PATH")
        (folder / name).symlink_to(found)
    base = getattr(sys, "_base_executable", sys.executable)
    python = folder / "python3"
    python.write_text(f'#!/bin/sh\nexec "{base}" -S "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    for name in FORBIDDEN:
        assert shutil.which(name, path=str(folder)) is None
    return folder


def files_of(*folders):
    return {path for folder in folders for path in folder.rglob("*")}


def problems(script, tree, home, path):
    before = files_of(tree, home)
    # No way out of this machine either: nobody listens at the address of the proxy.
    environment = {"PATH": str(path), "HOME": str(home), "TMPDIR": str(home), "LC_ALL": "C.UTF-8",
                   "PIP_NO_INDEX": "1", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    for option, expected in (("--help", 0), ("--no-such-option", 2)):
        try:
            done = subprocess.run(
                [tree / script, option], cwd=tree, env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", timeout=120)
        except subprocess.TimeoutExpired:
            yield f"{option} does not end"
            continue
        if done.returncode != expected:
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            yield f"{option} ends with {done.returncode}, not {expected}: {last}"
        usage, other = (done.stdout, done.stderr) if expected == 0 else (done.stderr, done.stdout)
        if "usage:" not in usage:
            yield f"{option} prints no usage"
        if other:
            yield f"{option} prints on the other stream too: {other.strip().splitlines()[-1]}"
    new = files_of(tree, home) - before
    # What lies in a new folder goes without saying.
    if tops := sorted(str(path.relative_to(tree.parent)) for path in new if path.parent not in new):
        yield f"leaves {', '.join(tops[:5])}{' and more' if len(tops) > 5 else ''}"


def main():
    with tempfile.TemporaryDirectory(prefix="llorch-help-") as folder:
        folder = pathlib.Path(folder)
        tree, home = folder / "tree", folder / "home"
        home.mkdir()
        copy_of_repository(tree)
        path = bare_path(folder / "bin")
        scripts = sorted(file.relative_to(tree) for place in ("scripts", ".ci") for file in (tree / place).iterdir())
        found = [f"{script}: is no program" for script in scripts if not os.access(tree / script, os.X_OK)]
        for script in scripts:
            found += [f"{script}: {problem}" for problem in problems(script, tree, home, path)]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    if not found:
        print(f"{len(scripts)} scripts print their usage where nothing is installed, and leave nothing")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
