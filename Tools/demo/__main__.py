"""The part of scripts/demo that talks: one job over ZeroMQ while the shim still builds, the same over HTTP, and a
clean end. With --kill a worker is killed in the middle of a third; with --page the end waits for Ctrl-C.

Run by scripts/demo, which has built the worker: python Tools/demo --began SECONDS [--kill] [--page]
"""
# SPDX-License-Identifier: Apache-2.0

import argparse
import contextlib
import pathlib
import signal
import sys
import tempfile
import time

import httpx
import zmq

from clients import JOB, over_http, over_zeromq, wait_for_health
from programs import Build, Program, free_ports
from terminal import BOLD, PLAIN, RED, Failure, good, heading, note


def show_a_kill(folder, programs, shim, url, first, events):
    """A job whose worker is killed while it answers, beside the same job undisturbed."""
    jobs, control = free_ports(2)
    second = Program(
        folder, first.command[0], "serve", "--worker-id", "demo-b",
        "--jobs", f"bind:tcp://127.0.0.1:{jobs}", "--control", f"bind:tcp://127.0.0.1:{control}",
        "--events", f"connect:tcp://127.0.0.1:{events}", name="llorch-worker-b")
    programs.append(second)
    wait_for_health(shim, url, workers=2)
    good("GET /health: two workers")
    job = {**JOB, "max_tokens": 240}
    undisturbed = over_http(url, {"job_id": "demo-3", **job})
    killed = []

    def kill(tokens, pane):
        if killed or tokens < 20:
            return
        victim = next(
            (worker for worker in (first, second) if worker.has_logged("job begins", "demo-4")), None)
        if victim is None:
            return
        victim.kill()
        killed.append(victim)
        pane.show(f"{RED}{BOLD}[kill -9 {victim.process.pid}]{PLAIN}")
        if victim.has_logged("job ended", "demo-4"):
            raise Failure("the job was over before its worker was killed")
        # As a supervisor would; without one the dispatcher waits for ten seconds of silence.
        victim.start()

    if over_http(url, {"job_id": "demo-4", **job}, kill) != undisturbed:
        raise Failure("the text of the killed worker's job differs")
    if not killed:
        raise Failure("the job was over before its worker was killed")
    good("the same text, byte for byte: a worker went on where the other was killed")
    wait_for_health(shim, url, workers=2)


def wait_for_the_end(programs):
    """Until Ctrl-C, or until a program ends by itself, which is a failure."""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            for program in programs:
                program.check()
            time.sleep(0.5)  # between two looks
    print(flush=True)


class Clock:
    """Seconds since scripts/demo began, as the first text sees them."""

    def __init__(self, began):
        self.began = began
        self.first = None

    def stop(self):
        self.first = time.time() - self.began


def demonstrate(folder, programs, builds, options):
    binaries = pathlib.Path(".build/release")
    events, jobs, control, http = free_ports(4)
    clock = Clock(options.began)

    def build_the_shim():
        # Not earlier: two builds in one folder wait for each other, and the first text would wait for the machine.
        builds.append(Build(folder, "llorch-http-shim"))
        note("llorch-http-shim builds meanwhile")

    heading("A worker with the demo model, a small GPT-2 that has read Shakespeare")
    worker = Program(
        folder, str(binaries / "llorch-worker"), "serve", "--worker-id", "demo",
        "--jobs", f"bind:tcp://127.0.0.1:{jobs}", "--control", f"bind:tcp://127.0.0.1:{control}",
        "--events", f"connect:tcp://127.0.0.1:{events}")
    programs.append(worker)
    queue_text = over_zeromq(worker, events, jobs, build_the_shim, clock.stop)
    good(f"the first text {clock.first:.0f} s after scripts/demo began")

    heading("The same job over HTTP")
    builds[0].wait()
    shim = Program(folder, str(binaries / "llorch-http-shim"), "--port", str(http),
                   "--events", f"bind:tcp://127.0.0.1:{events}")
    programs.append(shim)
    url = f"http://127.0.0.1:{http}"
    health = wait_for_health(shim, url)
    good(f"GET /health: {health['status']}, {len(health['workers'])} worker")
    http_text = over_http(url, {"job_id": "demo-2", **JOB})
    if http_text != queue_text:
        raise Failure("the two texts differ, though the seed is the same")
    good("the same text, byte for byte, because the seed is the same")

    if options.kill:
        heading("A longer job, and then the same with kill -9 in mid-sentence")
        show_a_kill(folder, programs, shim, url, worker, events)

    heading("The page for browsers")
    if options.page:
        good(f"open {url}/ in a browser; Ctrl-C ends the server and its workers")
        wait_for_the_end(programs)
    else:
        note(f"it is at {url}/ while the server runs: scripts/demo --page keeps it running")

    heading("The end (SIGTERM)")
    shim.stop()
    for program in programs:
        if program is not shim:
            program.stop()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--began", type=float, required=True, metavar="SECONDS",
                        help="when scripts/demo began, in seconds since 1970")
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--page", action="store_true")
    return parser.parse_args()


def end(number, frame):
    sys.exit(128 + number)


def main():
    options = parse()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    programs, builds = [], []
    with tempfile.TemporaryDirectory(prefix="llorch-demo-") as folder:
        try:
            demonstrate(folder, programs, builds, options)
        except (Failure, httpx.HTTPError, zmq.ZMQError, KeyError) as error:
            if not any(build.process.returncode for build in builds):
                for program in programs:
                    program.show_log()
            kind = "" if isinstance(error, Failure) else f"{type(error).__name__}: "
            print(f"\n{RED}demo: {kind}{error}{PLAIN}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
        finally:
            for program in programs:
                program.kill()
            for build in builds:
                build.stop()
    print(f"""
{BOLD}What next{PLAIN}
  scripts/demo --page                          the page for browsers, until Ctrl-C
  .build/release/llorch-worker generate --prompt "JULIET:" --temperature 0.8
  .build/release/llorch-worker --help          with a model of your own: --model DIRECTORY
  examples/README.md                           a client in nine lines
  README.md                                    everything else
""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
