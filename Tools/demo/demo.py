"""The part of scripts/demo that talks: one job over ZeroMQ, the same over HTTP, and a clean end. With
--kill a worker is killed in the middle of a third.

Run by scripts/demo, which has built the programs. What it shows is what a client of one's own would do.
"""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import json
import os
import pathlib
import random
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time

import httpx
import zmq

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 60.0
# The seed makes both texts, and everyone's, the same.
JOB = {"prompt": "ROMEO:\n", "max_tokens": 120, "temperature": 0.8, "seed": 7}

COLOURS = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
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


def free_ports(count):
    """Free ports below those that the system gives to outgoing connections."""
    with contextlib.ExitStack() as probes:
        ports = []
        for port in random.sample(range(20000, 32000), 1000):
            probe = probes.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    raise Failure(f"no {count} free ports between 20000 and 32000")


class Program:
    """One of the two programs, with its log."""

    def __init__(self, folder, *command, name=None):
        self.name = name or pathlib.Path(command[0]).name
        self.log = pathlib.Path(folder) / f"{self.name}.log"
        self.command = command
        show_command(command)
        self.start()

    def start(self):
        """Once more where it was killed; the log goes on."""
        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                cwd=ROOT)

    def check(self):
        if self.process.poll() is not None:
            raise Failure(f"{self.name} ended with {self.process.returncode}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(15)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not stop within 15 s of SIGTERM") from None
        if status:
            raise Failure(f"{self.name} ended with {status} after SIGTERM, not with 0")
        good(f"{self.name} ended with 0")

    def has_logged(self, message, job_id):
        return any(message in line and job_id in line
                   for line in self.log.read_text(errors="replace").splitlines())

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def show_log(self):
        print(f"\n{BOLD}the end of {self.name}'s log{PLAIN}", file=sys.stderr)
        print("\n".join(self.log.read_text(errors="replace").splitlines()[-20:]), file=sys.stderr)


def report(tokens, seconds, first, end):
    rate = f"{tokens / seconds:,.0f} tokens/s" if seconds > 0 else "at once"
    good(f"{tokens} tokens, {rate}, the first after {1000 * first:.0f} ms; {end['stop_reason']}")


def over_zeromq(worker, events_port, jobs_port):
    """What examples/client.py does, with time limits."""
    context = zmq.Context()
    try:
        events = context.socket(zmq.PULL)
        events.bind(f"tcp://127.0.0.1:{events_port}")
        jobs = context.socket(zmq.PUSH)
        jobs.connect(f"tcp://127.0.0.1:{jobs_port}")

        def receive(until):
            while (left := until - time.monotonic()) > 0:
                worker.check()
                if events.poll(min(200, 1000 * left)):
                    return events.recv_json()
            raise Failure(f"no event came from the worker within {PATIENCE:.0f} s")

        begin, until = time.monotonic(), time.monotonic() + PATIENCE
        while (event := receive(until)).get("state") != "idle":
            pass
        model = event["model"]
        good(f"ready after {1000 * (time.monotonic() - begin):.0f} ms: {model['name']}, "
             f"{model['precision']}, {model['vocabulary_size']:,} tokens, "
             f"a context of {model['context_length']}")

        heading("A job over ZeroMQ")
        job = {"v": 1, "type": "job", "job_id": "demo-1", "attempt": 1, **JOB}
        note(f"→ jobs    {json.dumps(job)}")
        note("← events  the text is shown as its token events come")
        begin, until = time.monotonic(), time.monotonic() + PATIENCE
        jobs.send_json(job)
        pane, text, first = TextPane(), "", None
        pane.show(JOB["prompt"])
        while (event := receive(until))["type"] not in ("end", "error"):
            if event["type"] == "token":
                first = first or time.monotonic() - begin
                text += event["t"]
                pane.show(event["t"])
        pane.close()
        if event["type"] == "error":
            raise Failure(f"the job ended with {event['code']}: {event['message']}")
        report(event["tokens_out"], event["decode_time_ms"] / 1000, first or 0, event)
        return text
    finally:
        context.destroy(linger=0)


def wait_for_health(shim, url, workers=1):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        shim.check()
        with contextlib.suppress(httpx.TransportError):
            health = httpx.get(f"{url}/health", timeout=5)
            if sum(worker["healthy"] for worker in health.json()["workers"]) >= workers:
                return health.json()
        time.sleep(0.05)  # between two questions
    raise Failure(f"{url}/health was not healthy within {PATIENCE:.0f} s")


def over_http(url, job, after_token=None):
    """The text of the job; `after_token` is called with the number of tokens."""
    show_command(["curl", "-N", f"{url}/execute", "-H", "Content-Type: application/json",
                  "-d", json.dumps(job)])
    pane, text, first, event, tokens = TextPane(), "", None, {}, 0
    pane.show(JOB["prompt"])
    begin = time.monotonic()
    with httpx.stream("POST", f"{url}/execute", json=job, timeout=PATIENCE) as response:
        if response.status_code != 200:
            raise Failure(f"POST /execute answered {response.status_code}: {response.read().decode()}")
        for line in response.iter_lines():
            if time.monotonic() - begin > PATIENCE:
                raise Failure(f"the stream did not end within {PATIENCE:.0f} s")
            if not line.startswith("data: "):
                continue
            event = json.loads(line.removeprefix("data: "))
            if event["type"] == "token":
                first = first or time.monotonic() - begin
                text += event["t"]
                pane.show(event["t"])
                tokens += len(event["ids"])
                if after_token:
                    after_token(tokens, pane)
    pane.close()
    if event.get("type") != "end":
        raise Failure(f"the stream ended with {event.get('code', 'nothing')}, not with an end")
    # By this clock: the worker that ends a job knows of its own share only.
    report(event["tokens_out"], time.monotonic() - begin - (first or 0), first or 0, event)
    return text


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


def demonstrate(folder, programs, is_killing):
    binaries = pathlib.Path(".build/release")
    events, jobs, control, http = free_ports(4)
    heading("A worker with the demo model, a small GPT-2 that has read Shakespeare")
    worker = Program(
        folder, str(binaries / "llorch-worker"), "serve", "--worker-id", "demo",
        "--jobs", f"bind:tcp://127.0.0.1:{jobs}", "--control", f"bind:tcp://127.0.0.1:{control}",
        "--events", f"connect:tcp://127.0.0.1:{events}")
    programs.append(worker)
    queue_text = over_zeromq(worker, events, jobs)

    heading("The same job over HTTP")
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

    if is_killing:
        heading("A longer job, and then the same with kill -9 in mid-sentence")
        show_a_kill(folder, programs, shim, url, worker, events)

    heading("The end (SIGTERM)")
    shim.stop()
    for program in programs:
        if program is not shim:
            program.stop()


def main():
    programs = []
    with tempfile.TemporaryDirectory(prefix="llorch-demo-") as folder:
        try:
            demonstrate(folder, programs, "--kill" in sys.argv[1:])
        except (Failure, httpx.HTTPError, zmq.ZMQError, KeyError) as error:
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
    print(f"""
{BOLD}What next{PLAIN}
  .build/release/llorch-worker generate --prompt "JULIET:" --temperature 0.8
  .build/release/llorch-worker --help          with a model of your own: --model DIRECTORY
  examples/README.md                           a client in nine lines
  README.md                                    everything else
""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
