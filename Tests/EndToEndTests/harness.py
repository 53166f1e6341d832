"""Processes and sockets for the tests: what a dispatcher has, with every wait bounded.

No expectation about the worker stands here but the event grammar; those are in the tests.
"""
# SPDX-License-Identifier: Apache-2.0

import itertools
import json
import os
import signal
import subprocess
import time

import zmq

from PythonSupport import programs
from PythonSupport.ports import free_ports
from PythonSupport.programs import PATIENCE, ROOT, serve_command

TERMINAL = ("end", "error")
# A thousand tokens of GPT-2's vocabulary.
LONG_PROMPT = " the" * 1000


class Process(programs.Process):
    """A program of ours that runs from now on; ends with the test that started it."""

    def __init__(self, command, log, output=None):
        super().__init__(command, log, output=output)
        self.start()

    def wait(self, seconds=PATIENCE):
        """The exit code."""
        code = self.ended(seconds)
        assert code is not None, f"still running after {seconds} s; its log ends\n{self.tail()}"
        return code

    def until_log(self, text, seconds=PATIENCE):
        """Waits until the log has a text."""
        end = time.monotonic() + seconds
        while text not in self.log:
            assert time.monotonic() < end, f"no {text!r} in {seconds} s; the log ends\n{self.tail()}"
            time.sleep(0.02)  # between two looks, not in place of one


class Worker(Process):
    """A worker on addresses of its own: llorch-worker, or stub-worker, whose every token is known."""

    def __init__(self, binary, log, *, name, events_port, model=None, ports=None, arguments=(),
                 output=None):
        self.name = name
        self.jobs_port, self.control_port = ports or free_ports(2)
        super().__init__(serve_command(
            binary, name=name, jobs=f"bind:tcp://127.0.0.1:{self.jobs_port}",
            control=f"bind:tcp://127.0.0.1:{self.control_port}",
            events=f"connect:tcp://127.0.0.1:{events_port}",
            arguments=[*(["--model", model] if model else []), *arguments]), log, output)


class Dispatcher:
    """The dispatcher's three sockets towards one worker, and all that was heard on them."""

    _ids = itertools.count(1)

    def __init__(self):
        self.context = zmq.Context()
        self.events = self.context.socket(zmq.PULL)
        self.events.rcvhwm = 0
        self.secure_events(self.events)
        (self.events_port,) = free_ports(1)
        self.events.bind(f"tcp://127.0.0.1:{self.events_port}")
        self.heard = []  # every event, in order, with the time of its arrival under "at"
        self.worker = self.jobs = self.control = None

    def attach(self, worker, *, after=0):
        """Connects to a worker and waits until it has loaded its model.

        A process that was killed may have sent heartbeats that are still under way; those of a boot
        number up to `after` are not this worker's.
        """
        self.worker = worker
        self.jobs = self._push(worker.jobs_port)
        self.control = self._push(worker.control_port)
        return self.until(
            lambda event: event["type"] == "heartbeat" and event["worker"] == worker.name
            and event["state"] in ("idle", "busy") and event["boot"] > after, what="the first heartbeat of a loaded model")

    def _push(self, port):
        pipe = self.context.socket(zmq.PUSH)
        pipe.linger = 0
        pipe.sndtimeo = int(PATIENCE * 1000)
        self.secure_push(pipe)
        pipe.connect(f"tcp://127.0.0.1:{port}")
        return pipe

    def secure_events(self, socket):
        """Nothing here; who may send events is set by dispatchers with keys."""

    def secure_push(self, socket):
        """Nothing here; whom it speaks to is set by dispatchers with keys."""

    def close(self):
        self.context.destroy(linger=0)

    # What is sent

    def send(self, prompt="Hello", **members):
        """Sends a job; gives its id."""
        job_id = members.pop("job_id", None) or f"job-{next(self._ids)}"
        job = {"v": 1, "type": "job", "job_id": job_id, "attempt": 1, "prompt": prompt,
               "max_tokens": 8, **members}
        self.jobs.send_json(job)
        return job_id

    def cancel(self, job_id, attempt=1):
        self.control.send_json({"v": 1, "type": "cancel", "job_id": job_id, "attempt": attempt})

    # What is heard

    def receive(self, seconds):
        """The next event, None where none came in time."""
        if not self.events.poll(max(0, int(seconds * 1000))):
            return None
        event = json.loads(self.events.recv())
        self.heard.append(event | {"at": time.monotonic()})
        return self.heard[-1]

    def until(self, is_wanted, seconds=PATIENCE, what="an event"):
        end = time.monotonic() + seconds
        is_dead = False
        while (left := end - time.monotonic()) > 0:
            event = self.receive(min(left, 0.5))
            if event is not None and is_wanted(event):
                return event
            # What a process said before it ended may still come; nothing else will.
            if event is None and is_dead:
                break
            is_dead = self.worker is not None and not self.worker.is_running()
        log = self.worker.tail() if self.worker else ""
        state = f"the worker ended with {self.worker.popen.returncode}; " if is_dead else ""
        raise AssertionError(
            f"{what} did not come in {seconds} s; {state}the last heard: {self.heard[-3:]}\n{log}")

    def listen(self, seconds):
        """Hears whatever comes in that time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.receive(left)

    def until_job(self, job_id, *types, seconds=PATIENCE):
        """The first event of these types about a job that comes from now on."""
        return self.until(
            lambda event: event.get("job_id") == job_id and event["type"] in types, seconds,
            f"{' or '.join(types)} of {job_id}")

    def finish(self, job_id, seconds=PATIENCE):
        """All events of a job up to its terminal one, which may have been heard before."""
        if not self.terminals(job_id):
            self.until_job(job_id, *TERMINAL, seconds=seconds)
        return self.of(job_id)

    def of(self, job_id):
        return [event for event in self.heard if event.get("job_id") == job_id]

    def terminals(self, job_id):
        return [event for event in self.of(job_id) if event["type"] in TERMINAL]


def text_of(events):
    return "".join(event["t"] for event in events if event["type"] == "token")


def ids_of(events):
    return [id for event in events if event["type"] == "token" for id in event["ids"]]


def assert_grammar(events):
    """`accepted* started (token | metrics)* (end | error)`, or a refusal: a lone `error`."""
    kinds = [event["type"] for event in events if event["type"] != "accepted"]
    assert kinds, "no event about the job"
    assert kinds[-1] in TERMINAL, kinds
    assert not any(kind in TERMINAL for kind in kinds[:-1]), kinds
    if kinds != ["error"]:
        assert kinds[0] == "started", kinds
        assert set(kinds[1:-1]) <= {"token", "metrics"}, kinds
    held = 0
    for event in events:
        if event["type"] == "token":
            assert event["i"] == held, f"a piece at {event['i']}, {held} ids are held"
            held += len(event["ids"])
    if events[-1]["type"] == "end":
        assert events[-1]["tokens_out"] == held


def assert_no_gaps(events):
    """`seq` counts every event of a process."""
    numbers = [event["seq"] for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def run(binary, *arguments, input=None, seconds=1800):
    """A command that ends by itself."""
    return subprocess.run(
        [str(binary), *map(str, arguments)], input=input, stdin=None if input else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds, cwd=ROOT, check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )


def run_json_lines(binary, *arguments):
    done = run(binary, *arguments)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def terminate(process, seconds=PATIENCE):
    process.signal(signal.SIGTERM)
    return process.wait(seconds)
