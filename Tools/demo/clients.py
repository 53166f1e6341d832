"""What a client of one's own would do: a job over ZeroMQ, and one over HTTP."""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import json
import time

import httpx
import zmq

from terminal import Failure, TextPane, good, heading, note, show_command

PATIENCE = 60.0
# The seed makes both texts, and everyone's, the same.
JOB = {"prompt": "ROMEO:\n", "max_tokens": 120, "temperature": 0.8, "seed": 7}


def report(tokens, seconds, first, end):
    rate = f"{tokens / seconds:,.0f} tokens/s" if seconds > 0 else "at once"
    good(f"{tokens} tokens, {rate}, the first after {1000 * first:.0f} ms; {end['stop_reason']}")


def over_zeromq(worker, events_port, jobs_port, when_ready, when_first):
    """What examples/client.py does, with time limits. Calls `when_ready` when the model is loaded, and `when_first`
    with the first piece of text.
    """
    context = zmq.Context()
    try:
        events = context.socket(zmq.PULL)
        events.bind(f"tcp://127.0.0.1:{events_port}")
        jobs = context.socket(zmq.PUSH)
        jobs.connect(f"tcp://127.0.0.1:{jobs_port}")

        def receive(until):
            while (left := until - time.monotonic()) > 0:
                worker.check()
                if events.poll(min(200, 1000 * left)):
                    return events.recv_json()
            raise Failure(f"no event came from the worker within {PATIENCE:.0f} s")

        begin, until = time.monotonic(), time.monotonic() + PATIENCE
        while (event := receive(until)).get("state") != "idle":
            pass
        model = event["model"]
        good(f"ready after {1000 * (time.monotonic() - begin):.0f} ms: {model['name']}, "
             f"{model['precision']}, {model['vocabulary_size']:,} tokens, "
             f"a context of {model['context_length']}")

        when_ready()
        heading("A job over ZeroMQ")
        job = {"v": 1, "type": "job", "job_id": "demo-1", "attempt": 1, **JOB}
        note(f"→ jobs    {json.dumps(job)}")
        note("← events  the text is shown as its token events come")
        begin, until = time.monotonic(), time.monotonic() + PATIENCE
        jobs.send_json(job)
        pane, text, first = TextPane(), "", None
        pane.show(JOB["prompt"])
        while (event := receive(until))["type"] not in ("end", "error"):
            if event["type"] == "token":
                if first is None:
                    first = time.monotonic() - begin
                    when_first()
                text += event["t"]
                pane.show(event["t"])
        pane.close()
        if event["type"] == "error":
            raise Failure(f"the job ended with {event['code']}: {event['message']}")
        report(event["tokens_out"], event["decode_time_ms"] / 1000, first or 0, event)
        return text
    finally:
        context.destroy(linger=0)


def wait_for_health(shim, url, workers=1):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        shim.check()
        with contextlib.suppress(httpx.TransportError):
            health = httpx.get(f"{url}/health", timeout=5)
            if sum(worker["healthy"] for worker in health.json()["workers"]) >= workers:
                return health.json()
        time.sleep(0.05)  # between two questions
    raise Failure(f"{url}/health was not healthy within {PATIENCE:.0f} s")


def over_http(url, job, after_token=None):
    """The text of the job; `after_token` is called with the number of tokens."""
    show_command(["curl", "-N", f"{url}/execute", "-H", "Content-Type: application/json",
                  "-d", json.dumps(job)])
    pane, text, first, event, tokens = TextPane(), "", None, {}, 0
    pane.show(JOB["prompt"])
    begin = time.monotonic()
    with httpx.stream("POST", f"{url}/execute", json=job, timeout=PATIENCE) as response:
        if response.status_code != 200:
            raise Failure(f"POST /execute answered {response.status_code}: {response.read().decode()}")
        for line in response.iter_lines():
            if time.monotonic() - begin > PATIENCE:
                raise Failure(f"the stream did not end within {PATIENCE:.0f} s")
            if not line.startswith("data: "):
                continue
            event = json.loads(line.removeprefix("data: "))
            if event["type"] == "token":
                first = first or time.monotonic() - begin
                text += event["t"]
                pane.show(event["t"])
                tokens += len(event["ids"])
                if after_token:
                    after_token(tokens, pane)
    pane.close()
    if event.get("type") != "end":
        raise Failure(f"the stream ended with {event.get('code', 'nothing')}, not with an end")
    # By this clock: the worker that ends a job knows of its own share only.
    report(event["tokens_out"], time.monotonic() - begin - (first or 0), first or 0, event)
    return text
