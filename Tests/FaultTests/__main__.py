"""Runs the tests that the command line names, one after another, and says what each reached."""
# SPDX-License-Identifier: Apache-2.0

import datetime
import inspect
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

import zmq

from PythonSupport.programs import binaries

from .arguments import parser
from .cases import CASES, Run
from .processes import raise_file_limit

from . import connection_cases  # noqa: F401
from . import dispatcher_cases  # noqa: F401
from . import fact_cases  # noqa: F401
from . import host_cases  # noqa: F401
from . import http_cases  # noqa: F401
from . import kill_cases  # noqa: F401
from . import message_cases  # noqa: F401
from . import pace_cases  # noqa: F401
from . import question_cases  # noqa: F401
from . import security_cases  # noqa: F401
from . import soak_cases  # noqa: F401
from . import storage_cases  # noqa: F401
from . import time_cases  # noqa: F401


def main():
    options = parser().parse_args()
    order = sorted(CASES.values(), key=lambda case: float(case.id[1:]))
    if options.list:
        for case in order:
            print(f"{case.id:4} {case.title}{'  (smoke)' if case.smoke is not None else ''}")
        return 0
    if unknown := [id for id in options.ids if id not in CASES]:
        parser().error(f"no test {', '.join(unknown)}; --list shows them")
    for name in ("llorch-worker", "stub-worker", "llorch-http-shim"):
        if not os.access(binaries() / name, os.X_OK):
            parser().error(f"{binaries()}/{name} is not there: swift build -c release --product {name}")
    chosen = [case for case in order if (not options.ids or case.id in options.ids)
              and (not options.smoke or case.smoke is not None)]
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    given = {name: json.loads(value) for name, value in (pair.split("=") for pair in options.set)}
    raise_file_limit()
    # Whoever ends the harness ends its workers with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"seed {seed}, libzmq {zmq.zmq_version()} in the harness")
    reports = [one(case, seed, options, given) for case in chosen]
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(
            {"seed": seed, "at": datetime.datetime.now().isoformat(timespec="seconds"),
             "zmq": zmq.zmq_version(), "cores": os.cpu_count(), "tests": reports}, indent=1),
            encoding="utf-8")
    failed = [report["id"] for report in reports if not report["ok"]]
    print(f"\n{len(reports) - len(failed)} passed, {len(failed)} failed"
          + (f": {' '.join(failed)} (again: scripts/fault-tests {' '.join(failed)} --seed {seed})"
             if failed else ""))
    return 1 if failed or not reports else 0


def one(case, seed, options, given):
    known = inspect.signature(case.function).parameters
    arguments = dict(case.smoke or {}) if options.smoke else {}
    arguments |= {name: value for name, value in given.items() if name in known}
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"llorch-{case.id}-"))
    shown = "".join(f" {name}={value}" for name, value in arguments.items())
    print(f"\n{case.id} {case.title}{shown}", flush=True)
    run = Run(case, seed, folder, options.broken, is_timed=not options.untimed)
    begin = time.monotonic()
    trouble = None
    try:
        case.function(run, **arguments)
    except Exception:  # one broken test must not hide the others
        trouble = traceback.format_exc()
        print(trouble)
    finally:
        run.end()
    seconds = time.monotonic() - begin
    ok = trouble is None and bool(run.figures) and all(figure.ok for figure in run.figures)
    print(f"  {'passed' if ok else 'FAILED'} in {seconds:.0f} s"
          + ("" if ok else f"; kept: {folder}"), flush=True)
    if ok:
        shutil.rmtree(folder)
    return {"id": case.id, "title": case.title, "ok": ok, "seconds": round(seconds, 1),
            "arguments": arguments, "broken": options.broken, "trouble": trouble,
            "figures": [vars(figure) for figure in run.figures], "measured": run.measured}


if __name__ == "__main__":
    sys.exit(main())
