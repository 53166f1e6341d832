"""The engines as processes that take turns: one computes, the others are stopped by a signal.

Each is pinned to the core that is measured and told to use one thread. Both kinds answer the same calls:
load, rate, encode, peak memory. What an engine answers in is seconds; here they become the metric's unit.
"""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import ctypes
import json
import os
import pathlib
import select
import signal
import subprocess
import time

from bench.failure import Failure
from bench.plan import METRICS

PATIENCE = 900.0
# This folder's parent, from which `python -m bench` starts.
TOOLS = pathlib.Path(__file__).resolve().parents[1]
ONE_THREAD = {name: "1" for name in (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}
ENVIRONMENT = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "",
               "PYTHONPATH": str(TOOLS)}


PR_SET_PDEATHSIG = 1  # linux/prctl.h
PRCTL = ctypes.CDLL(None).prctl


def pin_to(core):
    return lambda: os.sched_setaffinity(0, {core})


def first_steps(core):
    """What a new process does: a stopped one would outlive a bench that was killed."""
    def steps():
        PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL)
        if core is not None:
            os.sched_setaffinity(0, {core})

    return steps


class Worker:
    """A process that answers lines with JSON lines."""

    def __init__(self, command, log, core=None):
        self.log = pathlib.Path(log)
        with self.log.open("ab") as errors:
            self.begin = errors.tell()
            try:
                self.process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                    env={**os.environ, **ENVIRONMENT, **ONE_THREAD}, bufsize=0,
                    preexec_fn=first_steps(core))
            except OSError as error:
                raise Failure(f"{command[0]} does not start: {error.strerror}") from None
        self.rest = b""

    def ask(self, line):
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError:
            raise Failure(self.ending()) from None
        answer = self.answer()
        self.rest_now()
        return answer

    def rest_now(self):
        """Holds it still until it is asked again."""
        self.process.send_signal(signal.SIGSTOP)

    def answer(self):
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self.rest:
            ready, _, _ = select.select(
                [self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise Failure(f"gave no answer within {PATIENCE:.0f} s")
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            if not piece:
                raise Failure(self.ending())
            self.rest += piece
        line, _, self.rest = self.rest.partition(b"\n")
        try:
            answer = json.loads(line)
        except ValueError:
            raise Failure(f"answered {line[:100]!r}, which is no JSON") from None
        if "error" in answer:
            raise Failure(" ".join(answer["error"].split())[:300])
        return answer

    def ending(self):
        """Its status, and what it said last, of errors if it spoke of one."""
        status = self.process.wait(timeout=10)
        said = self.log.read_bytes()[self.begin:].decode(errors="replace").strip().splitlines()
        lines = [line for line in said if "rror" in line] or said or ["it said nothing"]
        return f"ended with {status}: {lines[-1].strip()}"[:400]

    def processor_seconds(self):
        """Of all its threads, in user and kernel mode."""
        text = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        # The second field is a name in brackets and may hold spaces.
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_bytes(self):
        """The most memory it ever held: private, shared and mapped files alike."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise Failure("ended before its memory was read")

    def stop(self):
        with contextlib.suppress(OSError):
            self.process.kill()
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Engine:
    """One engine in one variant on one model; `start` and `load` make it ready for `rate`."""

    def __init__(self, name, variant, core, log):
        self.name, self.variant, self.core, self.log = name, variant, core, log
        self.worker, self.before = None, 0
        # How much of the core it had while it was timed: less than all means that something else ran.
        self.core_share = None

    @property
    def key(self):
        return self.name, self.variant

    def stop(self):
        if self.worker:
            self.worker.stop()
            self.worker = None

    def memory(self):
        """MB that loading and running added."""
        return (self.worker.peak_bytes() - self.before) / 1e6

    def rate(self, metric):
        """Tokens per second."""
        start, processor = time.monotonic(), self.worker.processor_seconds()
        seconds = self.seconds(METRICS[metric])
        self.core_share = ((self.worker.processor_seconds() - processor)
                           / (time.monotonic() - start))
        return METRICS[metric].tokens / seconds


class Llorch(Engine):
    def __init__(self, program, model, variant, core, log):
        super().__init__("llorch", variant, core, log)
        self.program, self.model = program, model

    def load(self):
        """Seconds from the start of reading to where a token can be computed."""
        self.stop()
        self.worker = Worker(
            [self.program, "bench", "--model", self.model, "--precision", self.variant, "--stdin"],
            self.log, self.core)
        answer = self.worker.answer()
        self.before = answer["bytes_before"]
        seconds = answer["load_ns"] / 1e9
        self.worker.rest_now()
        return seconds

    def seconds(self, metric):
        return self.worker.ask(metric.test)["ns"] / 1e9


class LlorchEncoder(Engine):
    def __init__(self, program, tokenizer, core, log):
        super().__init__("llorch", "gpt2", core, log)
        self.program, self.tokenizer = program, tokenizer

    def load(self):
        """Nothing stays: each call of `encode` is a process of its own."""

    def encode(self, path):
        """MB/s of the second of two passes, and the number of tokens."""
        try:
            done = subprocess.run(
                [self.program, "bench", "--model", self.tokenizer, "--tokenizer", path, "-r", "1",
                 "--json"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                timeout=PATIENCE, preexec_fn=pin_to(self.core))
        except subprocess.TimeoutExpired:
            raise Failure(f"tokenized nothing within {PATIENCE:.0f} s") from None
        if done.returncode:
            raise Failure(done.stderr.decode(errors="replace").strip()[:300])
        (answer,) = json.loads(done.stdout)
        return answer["median_mbps"], answer["n_tokens"]


class Peer(Engine):
    """An engine of bench.peers, in its own Python environment."""

    def __init__(self, python, root, name, model, variant, core, log):
        super().__init__(name, variant, core, log)
        self.command = [python, "-m", "bench.peers", root, name, model, variant]

    def start(self):
        self.stop()
        self.worker = Worker(self.command, self.log, self.core)
        self.worker.answer()
        # The interpreter and the library are not the engine's to answer for.
        self.before = self.worker.peak_bytes()

    def load(self):
        self.start()
        return self.ask(do="load")["seconds"]

    def prepare(self):
        self.start()
        self.ask(do="prepare")
        self.stop()

    def seconds(self, metric):
        if metric.prompt:
            return self.ask(do="prefill", count=metric.prompt)["seconds"]
        return self.ask(do="decode", depth=metric.depth, count=metric.generated)["seconds"]

    def encode(self, path):
        answer = self.ask(do="encode", path=str(path))
        return os.path.getsize(path) / 1e6 / answer["seconds"], answer["tokens"]

    def ask(self, **wish):
        return self.worker.ask(json.dumps(wish))


class PeerEncoder(Peer):
    def load(self):
        self.start()
        self.worker.rest_now()
