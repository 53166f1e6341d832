"""The built server for the tests: its process, the events of a stream, and what every stream must be."""
# SPDX-License-Identifier: Apache-2.0

import json
import time

import httpx

from harness import PATIENCE, Process
from PythonSupport.ports import free_ports


class Shim(Process):
    def __init__(self, binary, log, *, ports=None, arguments=(), output=None):
        self.port, self.events_port = ports or free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(
            [binary, "--port", self.port, "--events", f"bind:tcp://127.0.0.1:{self.events_port}",
             *arguments], log, output)

    def health(self):
        try:
            return httpx.get(f"{self.url}/health", timeout=PATIENCE).json()
        except httpx.ConnectError:
            return {"status": "not listening", "workers": []}

    def until(self, is_wanted, seconds=PATIENCE):
        """Asks /health until it says what is wanted."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            health = self.health()
            if is_wanted(health):
                return health
            time.sleep(0.02)  # between two questions, not in place of one
        raise AssertionError(f"/health says {health} after {seconds} s\n{self.tail()}")

    def until_healthy(self, count=1):
        return self.until(lambda health: sum(w["healthy"] for w in health["workers"]) >= count)

    def execute(self, **members):
        """All events of a job."""
        with self.stream(**members) as events:
            return list(events)

    def stream(self, *, last_event_id=None, **members):
        headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
        return EventStream(self.url, {"prompt": "Hello", "max_tokens": 8, **members}, headers)


class EventStream:
    """The events of one `POST /execute`, as they come."""

    def __init__(self, url, body, headers):
        self.request = httpx.stream(
            "POST", f"{url}/execute", json=body, headers=headers, timeout=PATIENCE)

    def __enter__(self):
        self.response = self.request.__enter__()
        assert self.response.status_code == 200, self.response.read()
        assert self.response.headers["content-type"].startswith("text/event-stream")
        return self._events()

    def __exit__(self, *details):
        return self.request.__exit__(*details)

    def _events(self):
        name = id = None
        for line in self.response.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("id: "):
                id = int(line[4:])
            elif line.startswith("data: "):
                event = json.loads(line[6:])
                assert event["type"] == name
                yield event | {"id": id}


def assert_stream(events):
    kinds = [event["type"] for event in events]
    assert kinds[0] == "started" and kinds[-1] in ("end", "error"), kinds
    assert set(kinds[1:-1]) <= {"token", "metrics"}, kinds
    tokens = [event for event in events if event["type"] == "token"]
    assert [event["i"] for event in tokens] == list(range(len(tokens)))


def read_until_tokens(events, count):
    heard = []
    while sum(event["type"] == "token" for event in heard) < count:
        heard.append(next(events))
    return heard
