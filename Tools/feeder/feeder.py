"""The workers' dispatcher: sockets, who has which job, and what was heard of it. Reports nothing.

It keeps rules 1 to 4 of docs/wire-protocol.md: it binds the events address, finds the workers by their heartbeats,
keeps the jobs that wait, and sends a job again that nothing was heard of.
"""
# SPDX-License-Identifier: Apache-2.0

import collections
import json
import os
import time

import zmq

from queue_keys import QueueKeys

QUIET, LEASE = 5.0, 10.0  # seconds without news of a job, of a worker


class Job:
    def __init__(self, number, options, arrival):
        self.id = f"feed-{os.getpid()}-{number}"
        self.request = {"prompt": options.prompt, "max_tokens": options.max_tokens,
                        "temperature": options.temperature, "seed": options.seed + number}
        self.arrival = arrival
        self.attempt = 0
        self.worker = self.heard = self.first = self.end = None
        self.tokens = 0


class Feeder:
    """Sockets, who has which job, and what was heard."""

    def __init__(self, options):
        self.options = options
        self.context = zmq.Context()
        self.events = self.context.socket(zmq.PULL)
        self.events.rcvhwm = 0
        self.keys = None
        if options.curve_secret_key:
            self.keys = QueueKeys(
                self.context, options.curve_secret_key, options.curve_allowed_keys)
            self.keys.serve(self.events)
        self.events.bind(options.events)
        self.pipes, self.seen, self.boots, self.rest = {}, {}, {}, {}
        self.waiting, self.sent = collections.deque(), {}
        self.done, self.repeated, self.resent = [], 0, 0

    def hear(self, milliseconds):
        """Takes what has come; waits for it at most so long."""
        while self.events.poll(milliseconds):
            milliseconds = 0
            frame, now = self.events.recv(copy=False), time.monotonic()
            event = json.loads(frame.bytes)
            name = event["worker"]
            if event["boot"] < self.boots.get(name, 0):
                continue
            if event["boot"] > self.boots.get(name, 0):
                self.boots[name] = event["boot"]
                self.give_back(name)
                if self.keys and name in self.pipes:
                    self.pipes.pop(name).close()  # it may have come back with another key
            self.seen[name] = now
            if event["type"] == "heartbeat":
                if name not in self.pipes:
                    self.connect(name, event["jobs"], frame)
                # A worker that loads or leaves gets nothing.
                self.rest[name] = now + (0 if event["state"] in ("idle", "busy") else 2)
            elif "job_id" in event:
                self.hear_of_job(event, now)

    def hear_of_job(self, event, now):
        job = self.sent.get(event["job_id"])
        if job is None or event["attempt"] != job.attempt:
            self.repeated += event["type"] in ("end", "error")
            return
        job.heard = now
        if event["type"] == "token":
            job.first = job.first or now
            job.tokens = max(job.tokens, event["i"] + len(event["ids"]))
        elif event["type"] == "error" and event["retriable"]:
            self.rest[job.worker] = now + 1
            self.waiting.appendleft(self.sent.pop(job.id))
        elif event["type"] in ("end", "error"):
            job.end = event | {"at": now}
            self.done.append(self.sent.pop(job.id))
            self.send(job.worker, {"v": 1, "type": "ack", "job_id": job.id, "attempt": job.attempt})

    def connect(self, name, address, heartbeat):
        pipe = self.context.socket(zmq.PUSH)
        pipe.immediate, pipe.linger, pipe.sndhwm = 1, 0, 16
        if self.keys:
            # Whoever listens there must own the key under which the heartbeat came.
            self.keys.connect(pipe, heartbeat.get("User-Id").encode())
        pipe.connect(address)
        self.pipes[name] = pipe

    def send(self, name, message):
        try:
            self.pipes[name].send_json(message, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def send_job(self, job, name, attempt):
        message = {"v": 1, "type": "job", "job_id": job.id, "attempt": attempt, **job.request}
        if not self.send(name, message):
            return False
        job.worker, job.attempt, job.heard = name, attempt, time.monotonic()
        self.sent[job.id] = job
        return True

    def give_back(self, name):
        for job in [job for job in self.sent.values() if job.worker == name]:
            self.waiting.appendleft(self.sent.pop(job.id))

    def dispatch(self):
        now = time.monotonic()
        for name in self.pipes:
            if now - self.seen[name] > LEASE:
                self.give_back(name)
        for job in list(self.sent.values()):
            if now - job.heard > QUIET:
                self.resent += self.send_job(job, job.worker, job.attempt)
        load = collections.Counter(job.worker for job in self.sent.values())
        for name in sorted(self.pipes, key=load.__getitem__):
            if now - self.seen[name] > LEASE or self.rest.get(name, 0) > now:
                continue
            while self.waiting and load[name] < self.options.window:
                if not self.send_job(self.waiting[0], name, self.waiting[0].attempt + 1):
                    break
                self.waiting.popleft()
                load[name] += 1


def feed(options, progress):
    feeder = Feeder(options)
    begin, made, last = time.monotonic(), 0, 0
    task = progress.add_task("waiting for a worker", total=options.jobs, rate="")
    while not feeder.pipes:
        if time.monotonic() - begin > options.timeout:
            raise SystemExit(f"feed-queue: no worker was heard on {options.events} "
                             f"within {options.timeout:.0f} s")
        feeder.hear(200)
    begin = progress_at = time.monotonic()
    while len(feeder.done) < options.jobs and time.monotonic() - begin < options.timeout:
        now = time.monotonic()
        due = options.jobs if not options.rate else int((now - begin) * options.rate) + 1
        while made < min(due, options.jobs):
            feeder.waiting.append(Job(made, options, now))
            made += 1
        feeder.dispatch()
        feeder.hear(10)
        if now - progress_at > 0.2:
            tokens = sum(job.tokens for job in feeder.done) + sum(j.tokens for j in feeder.sent.values())
            rate = f"{(tokens - last) / (now - progress_at):,.0f} tokens/s"
            last, progress_at = tokens, now
            progress.update(task, completed=len(feeder.done), rate=rate, description=(
                f"{len(feeder.pipes)} workers, {len(feeder.waiting)} wait, {len(feeder.sent)} out"))
    progress.update(task, completed=len(feeder.done))
    return feeder, time.monotonic() - begin
