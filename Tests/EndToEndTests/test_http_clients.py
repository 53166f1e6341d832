"""The shim as common clients meet it: HTTP/1.0, 100-continue, bodies that nobody reads, null, lines, descriptors.

What RFC 9112 demands byte by byte: Tests/LlorchHTTPTests/Server/ConversationTests.swift.
"""
# SPDX-License-Identifier: Apache-2.0

import http.client
import itertools
import json
import re
import resource
import socket
import time

import httpx
import pytest

from harness import PATIENCE, Worker
from HTTPFuzz.answers import Connection
from HTTPFuzz.conversation import hold

_ids = itertools.count(1)


@pytest.fixture
def served(shim, start, stub_binary):
    """A shim with a worker of known tokens."""
    start(Worker, stub_binary, name="w1", events_port=shim.events_port)
    shim.until_healthy()
    return shim


def job(**members):
    return json.dumps({"job_id": f"c{next(_ids)}", "prompt": "Hello", "max_tokens": 3} | members).encode()


def ask(shim, data):
    """The first answer to these bytes, and whether the server closed behind it."""
    connection = Connection(shim.port, PATIENCE)
    connection.send(data)
    answer = connection.answer()
    connection.close()
    return answer


def test_a_client_of_http_1_0_reads_a_stream_to_the_end(served):
    """As ApacheBench and old libraries do: no chunks, and the end of the connection is the end."""
    body = job()
    answer = ask(served, b"POST /execute HTTP/1.0\r\nContent-Type: application/json\r\nHost: localhost\r\n"
                         b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    assert answer.status == 200 and "transfer-encoding" not in answer.fields
    assert answer.fields["connection"] == "close"
    assert answer.body.count(b"event: token\n") == 3 and b"event: end\n" in answer.body


def test_a_prober_needs_no_host(served):
    """HAProxy's `option httpchk GET /livez`."""
    assert ask(served, b"GET /livez HTTP/1.0\r\n\r\n").status == 200
    assert ask(served, b"GET /health HTTP/1.0\r\n\r\n").status == 200
    assert ask(served, b"GET /metrics HTTP/1.0\r\n\r\n").status == 403


def test_the_body_is_asked_for_where_it_is_wanted(served):
    """As Java's HttpClient waits, for ever, and libcurl for a second."""
    body = job()
    head = (b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
    connection = Connection(served.port, PATIENCE)
    connection.send(head % (b"/execute", len(body)))
    while b"\r\n\r\n" not in connection.received:
        assert connection.more()
    assert connection.received == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.send(body)
    answer = connection.answer()
    assert answer.status == 200 and b"event: end\n" in answer.body
    for path, length, status in [(b"/nowhere", 9, 404), (b"/execute", 3 << 20, 413), (b"/health", 9, 405)]:
        connection = Connection(served.port, PATIENCE)
        connection.send(head % (path, length))
        answer = connection.answer()
        assert (answer.status, answer.closes) == (status, True)


@pytest.mark.parametrize("close", [False, True])
@pytest.mark.parametrize("path", ["/execute", "/nowhere"])
def test_a_body_that_is_not_read_is_taken_all_the_same(served, path, close):
    """http.client sends all of it before it reads anything; a reset would lose the answer."""
    client = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
    client.request("POST", path, body=b" " * 20_000_000, headers={
        "Content-Type": "application/json", **({"Connection": "close"} if close else {})})
    answer = client.getresponse()
    assert answer.status == (413 if path == "/execute" else 404)
    answer.read()
    client.close()


def test_null_is_a_member_that_was_not_given(served):
    names = ["temperature", "seed", "top_p", "top_k", "min_p", "repetition_penalty", "stop"]
    answer = httpx.post(f"{served.url}/execute", content=job(**dict.fromkeys(names)), timeout=PATIENCE,
                        headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    for name in ("job_id", "prompt"):
        answer = httpx.post(f"{served.url}/execute", content=job(**{name: None}), timeout=PATIENCE,
                            headers={"Content-Type": "application/json"})
        assert answer.status_code == 422


def test_a_drawn_seed_is_kept_by_a_double(served):
    for _ in range(8):
        seed = served.execute(job_id=f"s{next(_ids)}")[0]["seed"]
        assert int(float(seed)) == seed < 2**53


def test_a_line_of_a_stream_is_one_for_every_reader(served):
    """A job's id may hold any character; readers of lines cut at some of them."""
    cutting = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029\x7f\x9f\0"
    name = f"{next(_ids)}{cutting}"
    answer = httpx.post(f"{served.url}/execute", json={"job_id": name, "prompt": "a\0b", "max_tokens": 1},
                        timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    data = [line for line in answer.content.decode().splitlines() if line.startswith("data: ")]
    events = [json.loads(line[6:]) for line in data]
    assert [event["type"] for event in events] == ["started", "token", "end"]
    assert events[0]["job_id"] == name


def test_a_refusal_by_the_worker_has_its_code(served):
    with served.stream(job_id="twice", max_tokens=500) as events:
        next(events)
        answer = httpx.post(f"{served.url}/execute", timeout=PATIENCE,
                            json={"job_id": "twice", "prompt": "Other", "max_tokens": 8})
    assert answer.status_code == 409
    body = answer.json()
    assert (body["code"], body["retriable"]) == ("JOB_ID_CONFLICT", False)
    assert body["errors"][0]["field"] == "job_id"


def metric(page, name):
    found = re.search(rf"^{re.escape(name)} (\d+)$", page, re.MULTILINE)
    assert found, f"no {name} in {page}"
    return int(found[1])


def test_without_descriptors_it_waits_and_goes_on(shim):
    """Connections beyond the limit neither make it spin nor end it, and those it has are served."""
    shim.until(lambda health: health["status"] == "unhealthy")
    with httpx.Client(base_url=shim.url, timeout=PATIENCE) as kept:
        assert kept.get("/livez").status_code == 200
        _, hard = resource.prlimit(shim.pid, resource.RLIMIT_NOFILE)
        begin = time.monotonic()
        resource.prlimit(shim.pid, resource.RLIMIT_NOFILE, (shim.descriptors() + 4, hard))
        waiting = [socket.create_connection(("127.0.0.1", shim.port), PATIENCE) for _ in range(40)]
        name = 'llorch_accept_pauses_total{reason="resources"}'
        # Eight failures are at least two seconds of pauses.
        while (pauses := metric(kept.get("/metrics").text, name)) < 8:
            assert time.monotonic() - begin < PATIENCE
            time.sleep(0.05)  # between two questions, not in place of one
        seconds = time.monotonic() - begin
        # The first pauses last 0.05, 0.1, 0.2 and so on; a loop that spins fails many thousand times.
        assert pauses < 8 + 20 * (seconds + 1)
        assert shim.log.count("no connections accepted for now") <= 1 + seconds / 60
        resource.prlimit(shim.pid, resource.RLIMIT_NOFILE, (hard, hard))
        for client in waiting:
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert client.recv(15) == b"HTTP/1.1 200 OK"
            client.close()
        assert kept.get("/livez").status_code == 200


@pytest.mark.parametrize("seed", [20_000_000 + 40 * n for n in range(4)])
def test_conversations_after_the_grammar(served, seed):
    """Right, broken and mutated requests, alone and in rows; more of them: scripts/fuzz http."""
    for number in range(seed, seed + 40):
        hold(served.port, number)
        assert served.is_running()
