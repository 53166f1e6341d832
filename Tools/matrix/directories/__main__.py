"""scripts/check-directories: one line for each directory, then the counts."""
# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import shutil
import sys
import tempfile
import time

from .arguments import parse
from .cases import CASES
from .check import Checker, Verdict
from .mixtures import mixture

ROOT = pathlib.Path(__file__).resolve().parents[3]


def chosen(options):
    """The cases to try, one after another."""
    if options.random is None and options.seconds is None:
        yield from (case for case in CASES if not options.only or options.only in case.name)
        return
    end = time.monotonic() + (options.seconds or float("inf"))
    for number in range(options.random or 1 << 40):
        if time.monotonic() >= end:
            return
        yield mixture(options.seed + number)


def main():
    options = parse()
    if options.list:
        for case in CASES:
            print(f"{case.name:70} {'refused: ' + ' … '.join(case.refused) if case.refused else 'agrees'}")
        return 0
    is_random = options.random is not None or options.seconds is not None
    binary = pathlib.Path(os.environ.get("LLORCH_BIN_DIR", ROOT / ".build/release")) / "llorch-worker"
    checker = Checker(binary, is_random=is_random)
    counts = dict.fromkeys(Verdict, 0)
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(chosen(options)):
            path = pathlib.Path(folder) / f"{number:04}"
            result = checker.check(case, path)
            counts[result.verdict] += 1
            if result.verdict is Verdict.WRONG or not is_random:
                print(f"{result.verdict.value:8} {case.name}" + "".join(f"\n         {t}" for t in result.told),
                      flush=True)
            if result.verdict is Verdict.WRONG and options.keep:
                kept = path.with_name(path.name + "-rewritten") if case.rewritten else path
                shutil.copytree(kept, options.keep / path.name, dirs_exist_ok=True)
            shutil.rmtree(path, ignore_errors=True)
            for more in ("twin", "rewritten"):
                shutil.rmtree(f"{path}-{more}", ignore_errors=True)
    print(f"\ntransformers {checker.version}: " + ", ".join(f"{n} {v.value}" for v, n in counts.items()))
    return 1 if counts[Verdict.WRONG] else 0


sys.exit(main())
