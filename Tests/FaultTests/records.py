"""What the dispatcher keeps: its rules, and one record for each job and each worker."""
# SPDX-License-Identifier: Apache-2.0

import dataclasses

TERMINAL = ("end", "error")


@dataclasses.dataclass
class Rules:
    fencing: bool = True      # events of void attempts and old boots are ignored
    resend: bool = True       # no news for `quiet`, a gap, a piece out of order: the job is sent again
    boot_check: bool = True   # a risen boot makes void what the worker was sent
    resume: bool = True       # the ids held go along
    crash_note: bool = True   # what a worker says it was running when it died counts as seen to run
    acknowledge: bool = True
    lease: float = 10.0
    quiet: float = 5.0
    window: int = 1
    poison: int = 2           # deaths of a worker while it ran the job


class Job:
    def __init__(self, body, now):
        self.body = body
        self.id = body["job_id"]
        self.attempt = 0   # whose events count; no worker has it between its voiding and the next sending
        self.next = 1      # to be sent with
        self.worker = None
        self.heard = now
        self.sent = now
        self.ids = []
        self.text = []
        self.is_running = False
        self.crashes = 0
        self.cancel_due = None
        self.not_before = 0.0


class Peer:
    """One worker as its heartbeats describe it."""

    def __init__(self, name):
        self.name = name
        self.boot = -1
        self.seq = None
        self.seen = -1e9
        self.rest = 0.0
        self.refuses_since = None
        self.refuses_control_since = None
        self.jobs = self.control = None
        self.addresses = None
        self.heartbeat = {}
        self.load = {}  # ids sent there, in the order of sending
