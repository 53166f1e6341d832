"""What scripts/bench does, which has built the worker: measure, show, and write into the documents."""
# SPDX-License-Identifier: Apache-2.0

import datetime
import os
import pathlib
import signal
import subprocess
import sys

from bench import environment, machine, plan, report
from bench.arguments import complete, parser
from bench.environment import REPOSITORY, Environment, remedy
from bench.failure import Failure
from bench.measure import Bench
from bench.processes import ENVIRONMENT
from bench.results import Results
from bench.terminal import Progress, paint

DOCUMENT = REPOSITORY / "docs/benchmarks.md"
SCRATCH = REPOSITORY / ".build-bench"
# Of the core; a run that had less is not put into the documents by itself.
LEAST_SHARE = 0.9


def install(options, progress):
    """Everything that would else be made on the first run."""
    peers = Environment(environment.default_root(), progress)
    peers.install(options.peers)
    log = SCRATCH / "logs/prepare.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    for model in options.models:
        peers.prepare_model(model)
        for precision in options.precisions:
            for name, variant in plan.PRECISIONS[precision].peers:
                if name in options.peers:
                    peers.prepare_peer(name, model, variant, log)
    progress.clear()
    progress.note(f"the peers and their models are in {peers.root}")


def find_peers(options, peers, results, progress):
    """Those that are installed; the others are named in the results."""
    installed, present, found = peers.versions(), [], {}
    for name in options.peers:
        missing = peers.missing(name, installed)
        if missing:
            progress.warn(f"{plan.TITLES[name]} is not installed ({', '.join(missing)}): {remedy(name)}")
            results.note_absent(name, "not installed", remedy=remedy(name))
        else:
            present.append(name)
            found[name] = installed[environment.ENGINE_PACKAGE[name]]
    results.content["versions"] = found
    return present


def find_worker():
    given = os.environ.get("LLORCH_WORKER")
    worker = pathlib.Path(given or REPOSITORY / ".build/release/llorch-worker").absolute()
    if not os.access(worker, os.X_OK):
        raise Failure(f"{worker} is no program; swift build -c release --product llorch-worker makes it"
                      + (", or unset LLORCH_WORKER" if given else ""))
    return worker


def measure(options, progress):
    path = pathlib.Path(options.json or SCRATCH / "last.json")
    logs = SCRATCH / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    if not path.parent.is_dir():
        raise Failure(f"--json: there is no folder {path.parent}")
    options.worker = find_worker()
    settings = {name: getattr(options, name)
                for name in ("models", "precisions", "metrics", "peers", "rounds", "core", "quick", "gguf")}
    given = bool(os.environ.get("LLORCH_WORKER"))
    results = Results.begin(
        machine.describe(REPOSITORY, options.core, given), {}, settings,
        datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"))
    peers = Environment(environment.default_root(), progress)
    options.present = find_peers(options, peers, results, progress)
    # What only waits stays away from the core that is measured.
    others = os.sched_getaffinity(0) - {options.core}
    if others:
        os.sched_setaffinity(0, others)
    load = machine.load_average()
    results.content["load_average"].append(load)
    if load > 0.5:
        progress.warn(f"other programs are running (load average {load}): figures will be low and uneven")
    try:
        Bench(options, peers, results, progress, logs, lambda: results.write(path)).run()
    finally:
        progress.clear()
        results.content["load_average"].append(machine.load_average())
        results.write(path)
        progress.note(f"samples: {path}")
    return results, path


def draw(results_path, target, progress):
    """Says whether there is a picture now; a run without one is still a run."""
    python = Environment(environment.default_root(), progress).python
    if not python.exists():
        python = sys.executable
    done = subprocess.run(
        [python, "-m", "bench.picture", results_path, target], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **ENVIRONMENT})
    if done.returncode:
        last = done.stdout.decode(errors="replace").strip().splitlines()[-1:]
        progress.warn(f"no picture: {last[0] if last else done.returncode}; "
                      "scripts/bench --install-peers brings matplotlib")
    return done.returncode == 0


def publish(results, path, progress):
    """The document, its picture and the samples behind them."""
    picture = DOCUMENT.with_suffix(".svg")
    drawn = draw(path, picture, progress)
    text = report.between_markers(
        DOCUMENT.read_text(encoding="utf-8"),
        report.markdown(results, picture.name if drawn else None), DOCUMENT)
    DOCUMENT.write_text(text, encoding="utf-8")
    results.write(DOCUMENT.with_suffix(".json"))
    progress.note("written: docs/benchmarks.md, .svg and .json")


def undisturbed(results, progress):
    share = results.core_share()
    if share is not None and share < LEAST_SHARE:
        progress.warn(f"nothing is written: the engines had {share:.0%} of the core, another program "
                      "the rest; run this again without it, or say --write")
        return False
    return True


def run(options, progress):
    if options.table:
        results, path = Results.read(options.table), options.table
        if results.content["settings"]["quick"]:
            plan.shorten()
    else:
        complete(options)
        if options.install_peers:
            return install(options, progress)
        if options.quick:
            plan.shorten()
        results, path = measure(options, progress)
    print(report.coloured(report.markdown(results), paint(sys.stdout)), flush=True)
    if options.picture:
        draw(path, options.picture, progress)
    if options.write or (options.write is None and not options.table and options.whole
                         and undisturbed(results, progress)):
        publish(results, path, progress)


def main():
    options, progress = parser().parse_args(), Progress()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        run(options, progress)
    except Failure as failure:
        progress.clear()
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        progress.clear()
        sys.exit(130)
    except BrokenPipeError:
        # Who reads the tables has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
