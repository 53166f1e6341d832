"""Messages that are no messages: each is refused, and the next job runs."""
# SPDX-License-Identifier: Apache-2.0

import json
import random

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zmq.utils.monitor import recv_monitor_message

from harness import PATIENCE, assert_grammar

JOB = {"v": 1, "type": "job", "job_id": "h", "attempt": 1, "prompt": "Hello", "max_tokens": 4}

BROKEN = [
    b"", b"{", b"null", b"[]", b"\xff\xfe\x00", b"\xef\xbb\xbf{}", b"[" * 100_000,
    b'{"a":' * 50_000, b'{"v":1,"type":"job"' + b" " * 900_000, b"1" * 900_000,
    b'{"v":1e999,"type":"job"}', b'{"v":1,"type":"job","type":"job"}', b'"\\ud800"',
    b'{"v":1,"type":"nonsense"}', b'{"v":1,"type":"cancel"}', b'{"v":1,"type":"ack","job_id":7}',
]
WRONG = [
    {"v": 2}, {"v": "1"}, {"attempt": -1}, {"attempt": 2**64}, {"job_id": ""}, {"job_id": 7},
    {"job_id": "x" * 3000}, {"prompt": ""}, {"prompt": None}, {"prompt": ["Hello"]},
    {"max_tokens": 0}, {"max_tokens": 1.0}, {"max_tokens": 10**30}, {"temperature": 1e300},
    {"temperature": "hot"}, {"top_p": -0.1}, {"seed": -1}, {"seed": 2**64}, {"stop": "\n"},
    {"stop": ["a"] * 5}, {"stop": ["x" * 101]}, {"resume_ids": [2**32]}, {"resume_ids": [9999999]},
    {"max_token": 3}, {"correlation_id": "spaces are not allowed"}, {"lease_ms": 0},
]


def assert_serves(dispatcher):
    """A job sent now is run: nothing before it stopped the worker or lost its way."""
    events = dispatcher.finish(dispatcher.send("Still there?"))
    assert_grammar(events)
    assert events[-1]["type"] == "end"
    assert dispatcher.worker.is_running()


@pytest.mark.parametrize("pipe", ["jobs", "control"])
def test_broken_frames(worker, dispatcher, pipe):
    for frame in BROKEN:
        # More than 16 KiB on control cuts the connection: that is another test.
        getattr(dispatcher, pipe).send(frame if pipe == "jobs" else frame[:16_000])
    answer = dispatcher.until(lambda e: e["type"] == "error", what="a refusal")
    assert "job_id" not in answer
    assert answer["code"] in ("MALFORMED", "UNSUPPORTED_VERSION")
    assert_serves(dispatcher)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: next(iter(wrong)))
def test_wrong_members(worker, dispatcher, wrong):
    dispatcher.jobs.send_json(JOB | wrong)
    answer = dispatcher.until(lambda e: e["type"] in ("end", "error"))
    assert answer["type"] == "error" and not answer["retriable"], answer
    assert answer["code"] in ("INVALID_REQUEST", "UNSUPPORTED_VERSION", "MALFORMED"), answer
    assert_serves(dispatcher)


def test_bit_flips(worker, dispatcher):
    choice = random.Random(5)
    for _ in range(5_000):
        frame = bytearray(json.dumps(JOB | {"job_id": f"f{choice.randrange(10**9)}"}).encode())
        for _ in range(choice.randrange(1, 4)):
            frame[choice.randrange(len(frame))] ^= 1 << choice.randrange(8)
        choice.choice([dispatcher.jobs, dispatcher.control]).send(bytes(frame))
    assert_serves(dispatcher)


def test_any_json_at_all(worker, dispatcher):
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*JOB, "stop", "seed", "x"]) | st.text(), inner, max_size=6),
        max_leaves=12)

    @settings(max_examples=500, deadline=None, derandomize=True,
              suppress_health_check=[HealthCheck.too_slow])
    @given(values, st.booleans())
    def send(value, is_job):
        if is_job and isinstance(value, dict):
            value = JOB | value
        dispatcher.jobs.send(json.dumps(value).encode("utf-8", "surrogatepass"))

    send()
    assert_serves(dispatcher)


def test_multipart(worker, dispatcher):
    for parts in ([b"", b""], [json.dumps(JOB).encode(), b"more"], [b"x"] * 1000):
        dispatcher.jobs.send_multipart(parts)
        dispatcher.control.send_multipart(parts)
    assert_serves(dispatcher)
    assert not dispatcher.of("h"), "a multipart message was read"


@pytest.mark.parametrize("pipe, size", [("jobs", (1 << 20) + 1), ("jobs", 1 << 25), ("control", 16_385)])
def test_oversized(worker, dispatcher, pipe, size):
    socket = getattr(dispatcher, pipe)
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    socket.send(b" " * size)
    # The worker cuts the connection; libzmq makes it again by itself. What is sent in between is lost.
    for expected in (zmq.EVENT_DISCONNECTED, zmq.EVENT_HANDSHAKE_SUCCEEDED):
        seen = None
        while seen != expected:
            assert monitor.poll(int(PATIENCE * 1000)), f"no {expected!r}"
            seen = recv_monitor_message(monitor)["event"]
    socket.disable_monitor()
    assert_serves(dispatcher)
