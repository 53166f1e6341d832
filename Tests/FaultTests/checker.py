"""Reads a history and the workers' logs afterwards and says whether anything was lost, repeated or wrong.

C1 every job submitted has one terminal result and no other job has one. C2 every stream is the oracle's.
C3 nothing was taken after a terminal event, of a void attempt or of a dead process. C4 executions are counted.
C5 memory and descriptors stayed in bounds. C6 nothing was left over. Shares no code with the dispatcher.

By itself, from Tests: python -m FaultTests.checker FOLDER
"""
# SPDX-License-Identifier: Apache-2.0

import collections
import dataclasses
import json
import pathlib
import re
import sys

from .history import read
from .oracle import stream


@dataclasses.dataclass
class Findings:
    submitted: int = 0
    lost: list = dataclasses.field(default_factory=list)
    duplicate_terminals: list = dataclasses.field(default_factory=list)
    unexpected: list = dataclasses.field(default_factory=list)
    wrong_streams: list = dataclasses.field(default_factory=list)
    right_streams: int = 0
    taken_after_end: int = 0
    taken_though_void: int = 0
    executions: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    codes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    kills: int = 0
    redeliveries: list = dataclasses.field(default_factory=list)
    recomputed_ids: int = 0
    delivered_ids: int = 0
    gaps: int = 0
    byes: int = 0
    voids: int = 0
    idle: bool = True

    def __add__(self, other):
        names = [field.name for field in dataclasses.fields(self) if field.name != "idle"]
        return Findings(**{name: getattr(self, name) + getattr(other, name) for name in names},
                        idle=self.idle and other.idle)

    @property
    def clean(self):
        return not (self.lost or self.duplicate_terminals or self.unexpected or self.wrong_streams
                    or self.taken_after_end or self.taken_though_void)

    def summary(self):
        return {
            "submitted": self.submitted, "lost": len(self.lost),
            "duplicate_terminals": len(self.duplicate_terminals), "unexpected": len(self.unexpected),
            "wrong_streams": len(self.wrong_streams), "right_streams": self.right_streams,
            "taken_after_end": self.taken_after_end, "taken_though_void": self.taken_though_void,
            "executions": sum(self.executions.values()), "kills": self.kills,
            "recomputed_ids": self.recomputed_ids, "codes": dict(self.codes), "gaps": self.gaps,
            "examples": (self.lost + self.duplicate_terminals + self.wrong_streams)[:5]}


def check(history, logs=()):
    found = Findings()
    wanted, ended = {}, set()
    ids, text = collections.defaultdict(list), collections.defaultdict(list)
    attempt, boots, killed = {}, {}, {}
    for line in read(history):
        kind, job, time = line["k"], line.get("job"), line["t"]
        if kind == "submit":
            wanted[job] = line["max_tokens"]
        elif kind == "send":
            if job in killed:
                found.redeliveries.append(time - killed.pop(job))
            attempt[job] = line["attempt"]
        elif kind == "void":
            found.voids += 1
            attempt[job] = line["attempt"] + 1
        elif kind == "gap":
            found.gaps += 1
        elif kind == "bye":
            found.byes += 1
        elif kind == "fault" and line["what"] == "kill":
            found.kills += 1
            for job in line.get("held", ()):
                killed[job] = time
        elif kind == "event":
            _event(line, found, attempt, boots, ended)
        elif kind == "deliver":
            found.delivered_ids += len(line["ids"])
            if job in ended:
                found.taken_after_end += 1
                continue
            if line["i"] != len(ids[job]):
                found.wrong_streams.append(job)
            ids[job] += line["ids"]
            text[job].append(line["text"])
        elif kind == "terminal":
            found.codes[line["code"] or "END"] += 1
            if job not in wanted:
                found.unexpected.append(job)
            if job in ended:
                found.duplicate_terminals.append(job)
                continue
            ended.add(job)
            # Judged here and forgotten: a soak has hundreds of thousands.
            held, whole = ids.pop(job, []), line["type"] == "end"
            right_ids, right_text = stream(job, wanted.get(job, 0) if whole else len(held))
            if (held, "".join(text.pop(job, []))) == (right_ids, right_text):
                found.right_streams += whole
            else:
                found.wrong_streams.append(job)
    found.submitted = len(wanted)
    found.lost = sorted(set(wanted) - ended)
    for log in logs:
        found.executions.update(executions(pathlib.Path(log)))
    return found


def _event(line, found, attempt, boots, ended):
    job, worker = line["job"], line["worker"]
    is_old = line["boot"] < boots.get(worker, -1)
    boots[worker] = max(boots.get(worker, -1), line["boot"])
    # Ids that a worker made though the dispatcher had them when it sent the job there.
    if line["type"] == "token" and line["taken"] == "repeat":
        found.recomputed_ids += line["n"]
    if line["taken"] != "taken":
        return
    if job in ended:
        found.taken_after_end += 1
    if is_old or line["attempt"] != attempt.get(job):
        found.taken_though_void += 1


def executions(log):
    """How often each job was begun, by a worker's log."""
    pattern = re.compile(r"job_id=(\S+).*job begins")
    with open(log, encoding="utf-8", errors="replace") as lines:
        return collections.Counter(match[1] for line in lines if (match := pattern.search(line)))


def main():
    folder = pathlib.Path(sys.argv[1])
    found = check(folder / "history.jsonl", folder.glob("*.log"))
    print(json.dumps(found.summary(), indent=1))
    return 0 if found.clean else 1


if __name__ == "__main__":
    sys.exit(main())
