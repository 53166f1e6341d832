"""The short forms of the fault tests, and that their checker finds what it is there to find.

The whole set takes more than an hour: scripts/fault-tests.
"""
# SPDX-License-Identifier: Apache-2.0

import os
import subprocess
import sys

import pytest

from FaultTests.checker import check
from FaultTests.history import as_line
from FaultTests.oracle import stream
from PythonSupport.programs import ROOT



def fault_tests(stub_binary, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "FaultTests", *arguments], cwd=ROOT / "Tests", stdin=subprocess.DEVNULL,
        timeout=1200, check=False, capture_output=True, text=True,
        env={**os.environ, "LLORCH_BIN_DIR": str(stub_binary.parent)})


@pytest.mark.timeout(1300)
@pytest.mark.parametrize("case", ["T1", "T2", "T9", "T13", "T17", "T19"])
def test_a_short_form(stub_binary, case):
    """Figures of time are printed and not judged: they would be those of whatever else this machine does."""
    done = fault_tests(stub_binary, case, "--smoke", "--untimed")
    assert done.returncode == 0, done.stdout + done.stderr


def test_those_are_all_short_forms(stub_binary):
    listed = fault_tests(stub_binary, "--list").stdout.splitlines()
    assert [line.split()[0] for line in listed if line.endswith("(smoke)")] == [
        "T1", "T2", "T9", "T13", "T17", "T19"]


@pytest.mark.slow
@pytest.mark.timeout(1300)
@pytest.mark.parametrize(("rule", "arguments"), [
    ("fencing", ["T4", "--set", "times=[14]", "--set", "workers=4"]),
    ("resend", ["T6", "--set", "jobs=300", "--set", "patience=40"]),
    ("boot_check", ["T1", "--smoke", "--set", "jobs=150", "--set", "kills=2"]),
    ("resume", ["T1", "--smoke", "--set", "jobs=150", "--set", "kills=4"]),
    ("crash_note", ["T16", "--set", "jobs=40", "--set", "hanging=0", "--set", "patience=30"]),
    ("replay", ["T19", "--set", "jobs=40"]),
    ("tombstones", ["T13", "--set", "cancels=3"]),
])
def test_a_rule_that_is_switched_off_is_noticed(stub_binary, rule, arguments):
    done = fault_tests(stub_binary, *arguments, "--seed", "1", "--break", rule)
    assert done.returncode == 1 and "  BAD " in done.stdout, done.stdout + done.stderr
    assert "Traceback" not in done.stdout, done.stdout


# The checker by itself: a run that went well, and each way in which one may not have.

IDS, TEXT = stream("a", 3)
ABOUT = {"job": "a", "worker": "w", "boot": 5}
SOUND = [
    ("submit", {"job": "a", "max_tokens": 3}),
    ("send", {**ABOUT, "attempt": 1, "why": "new", "held": 0}),
    ("deliver", {"job": "a", "i": 0, "ids": IDS, "text": TEXT}),
    ("event", {**ABOUT, "attempt": 1, "seq": 1, "type": "token", "i": 0, "n": 3, "taken": "taken"}),
    ("event", {**ABOUT, "attempt": 1, "seq": 2, "type": "end", "taken": "taken"}),
    ("terminal", {"job": "a", "type": "end", "code": None, "tokens": 3, "attempt": 1}),
]


def findings(tmp_path, lines, log=""):
    path = tmp_path / "history.jsonl"
    path.write_text("".join(as_line(kind, members) for kind, members in lines), encoding="utf-8")
    (tmp_path / "w.log").write_text(log, encoding="utf-8")
    return check(path, [tmp_path / "w.log"])


def test_a_sound_history_is_clean(tmp_path):
    found = findings(tmp_path, SOUND, "x info llorch-worker: job_id=a [llorch_worker] job begins\n")
    assert found.clean and found.right_streams == 1, found
    assert found.executions == {"a": 1}


def altered(place, **members):
    lines = [(kind, dict(values)) for kind, values in SOUND]
    lines[place][1].update(members)
    return lines


@pytest.mark.parametrize(("lines", "finding"), [
    (SOUND[:-1], "lost"),
    (SOUND + [SOUND[-1]], "duplicate_terminals"),
    (SOUND + [("terminal", {"job": "b", "type": "error", "code": "X", "tokens": 0})], "unexpected"),
    (altered(2, ids=[*IDS[:2], IDS[2] + 1]), "wrong_streams"),
    (altered(2, text=TEXT[:-1]), "wrong_streams"),
    (altered(2, i=1), "wrong_streams"),
    (SOUND[:2] + SOUND[3:], "wrong_streams"),
    (SOUND + [SOUND[2]], "taken_after_end"),
    (SOUND + [SOUND[3]], "taken_after_end"),
    (altered(3, attempt=2), "taken_though_void"),
    (altered(4, boot=4), "taken_though_void"),
    (SOUND[:3] + [("void", {**ABOUT, "attempt": 1, "why": "boot"})] + SOUND[3:], "taken_though_void"),
])
def test_what_is_wrong_is_found(tmp_path, lines, finding):
    found = findings(tmp_path, lines)
    assert getattr(found, finding) and not found.clean, found
