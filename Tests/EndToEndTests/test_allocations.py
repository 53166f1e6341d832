"""What the engine takes from the heap once a model is loaded: nothing for a token, little for its event.

Counted by the built allocation-gate, whose malloc counts; Benchmarks/AllocationGate says what it runs.
"""
# SPDX-License-Identifier: Apache-2.0

import json

import pytest

from harness import run
from PythonSupport.programs import ROOT

DEMO_MODEL = ROOT / "models/shakespeare"
# The list of ids, and text of more than 15 bytes; queues that grow add less than one.
PER_EVENT = 2


def rows(gate, model, *options):
    done = run(gate, model, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def counted(allocation_gate):
    return rows(allocation_gate, DEMO_MODEL)


def test_forward_passes_and_choices_allocate_nothing(counted):
    passes = [row for row in counted if row["work"].startswith(("prefill", "decode"))]
    # Every way to choose a token, after prefill and decode both, at each precision.
    assert len(passes) == 14 * len({row["precision"] for row in counted})
    assert all(row["count"] > 0 for row in passes)
    assert [row for row in passes if row["allocations"]] == []


def test_steps_without_an_event_allocate_nothing(counted):
    steps = [row for row in counted if row["work"] == "step without an event"]
    assert len(steps) == len({row["precision"] for row in counted})
    assert all(row["count"] > 100 for row in steps)
    assert [row for row in steps if row["allocations"]] == []


def test_an_event_allocates_little(counted):
    events = [row for row in counted if row["work"] == "step with a token event"]
    assert len(events) == len({row["precision"] for row in counted})
    assert all(row["count"] > 100 for row in events)
    assert [row for row in events if row["allocations"] > PER_EVENT * row["count"]] == []


def test_the_counter_sees_an_allocation(allocation_gate):
    """Else all of the above would pass for a counter that stands still."""
    planted = rows(allocation_gate, DEMO_MODEL, "--plant")
    assert [row for row in planted if row["allocations"] < row["count"]] == []
