"""GET /metrics of the built programs, read by Prometheus' own parser: the numbers are those of what was done."""
# SPDX-License-Identifier: Apache-2.0

import re
import signal
import time

import httpx
import zmq
from prometheus_client.parser import text_string_to_metric_families

from harness import PATIENCE
from PythonSupport.programs import ROOT
from shim import read_until_tokens

HISTOGRAMS = {"llorch_queue_wait_seconds", "llorch_time_to_first_token_seconds",
              "llorch_inter_token_seconds", "llorch_cancel_seconds", "worker_inference_duration_ms"}
GAUGES = {"llorch_jobs_running", "llorch_jobs_waiting", "llorch_outbox_bytes", "llorch_worker_up",
          "llorch_worker_name_conflict", "llorch_sse_clients", "llorch_connections", "worker_vram_bytes"}
# The parser takes `_total` for the sample's ending, not for a part of the family's name.
COUNTERS = {"llorch_jobs", "llorch_prompt_tokens", "llorch_generated_tokens", "llorch_redeliveries",
            "llorch_accept_pauses", "llorch_replays", "llorch_fenced_events", "llorch_event_gaps", "llorch_rejected",
            "llorch_malformed", "llorch_worker_boots", "worker_requests", "worker_tokens_in",
            "worker_tokens_generated", "worker_uptime_seconds"}
# This one counter has a name without the ending.
WITHOUT_TOTAL = "worker_uptime_seconds"
LABELS = {"outcome", "reason", "code", "side", "worker", "le", "worker_id"}


class Page:
    def __init__(self, shim):
        self.response = httpx.get(f"{shim.url}/metrics", timeout=PATIENCE)
        assert self.response.status_code == 200
        self.families = list(text_string_to_metric_families(self.response.text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def __call__(self, name, **labels):
        """The sum of all samples of this name that have these labels."""
        found = [sample.value for sample in self.samples
                 if sample.name == name and labels.items() <= sample.labels.items()]
        assert found, f"no {name} with {labels} in\n{self.response.text}"
        return sum(found)


def until(shim, is_wanted, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        page = Page(shim)
        if is_wanted(page):
            return page
        time.sleep(0.02)  # between two questions, not in place of one
    raise AssertionError(f"after {seconds} s\n{page.response.text}")


def tokens_of(events):
    return sum(len(event["ids"]) for event in events if event["type"] == "token")


def test_the_page_is_one_that_prometheus_reads(shim, serve, tiny_model):
    serve(tiny_model, "w1")
    shim.until_healthy()
    shim.execute(job_id="a-name-to-be-found-nowhere")
    page = until(shim, lambda page: page("llorch_outbox_bytes", worker="w1") >= 0)
    assert page.response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    types = {family.name: family.type for family in page.families}
    assert types == {**dict.fromkeys(HISTOGRAMS, "histogram"), **dict.fromkeys(GAUGES, "gauge"),
                     **dict.fromkeys(COUNTERS, "counter")}
    text = page.response.text
    for family in page.families:
        assert family.documentation.endswith("."), family
        assert re.fullmatch(r"(llorch|worker)_[a-z_]+", family.name)
        has_ending = family.type == "counter" and family.name != WITHOUT_TOTAL
        written = family.name + ("_total" if has_ending else "")
        assert text.count(f"# HELP {written} ") == text.count(f"# TYPE {written} ") == 1
        assert family.samples, family
    keys = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in page.samples]
    assert len(set(keys)) == len(keys)
    assert {label for sample in page.samples for label in sample.labels} <= LABELS
    assert "a-name-to-be-found-nowhere" not in text
    # What a dashboard holds on to is written down, every name of it.
    documented = (ROOT / "docs/http-api.md").read_text(encoding="utf-8")
    for name in re.findall(r"# TYPE (\S+)", text):
        assert f"`{name}" in documented, name
    for name in HISTOGRAMS:
        buckets = [s.value for s in page.samples if s.name == f"{name}_bucket"]
        assert buckets == sorted(buckets) and buckets[-1] == page(f"{name}_count")
    assert httpx.get(f"{shim.url}/livez", timeout=PATIENCE).status_code == 200


def test_the_sums_are_those_of_the_streams(shim, serve, tiny_model):
    serve(tiny_model, "w1")
    shim.until_healthy()
    begin = time.monotonic()
    runs = [shim.execute(job_id=f"j{n}", prompt="To be, or" * n, max_tokens=5 * n, seed=n)
            for n in range(1, 6)]
    seen = time.monotonic() - begin
    # A worker that is not heard for some seconds is not up, which may be on a busy machine.
    page = until(shim, lambda page: page("llorch_jobs_total") == page("llorch_worker_up", worker="w1") * 5 == 5)
    assert page("llorch_jobs_total", outcome="end") == 5
    prompt = sum(run[0]["prompt_tokens"] for run in runs)
    assert page("llorch_prompt_tokens_total") == prompt
    generated = sum(run[-1]["tokens_out"] for run in runs)
    # A piece without text has tokens too, but no frame.
    assert page("llorch_generated_tokens_total") == generated >= sum(map(tokens_of, runs)) > 0
    for name in ("llorch_queue_wait_seconds", "llorch_time_to_first_token_seconds"):
        assert page(f"{name}_count") == 5
        # In seconds, and no more than the client waited.
        assert 0 < page(f"{name}_sum") <= seen
    assert page("llorch_queue_wait_seconds_sum") <= page("llorch_time_to_first_token_seconds_sum")
    assert 0 < page("llorch_inter_token_seconds_count") <= generated - 5
    assert page("llorch_worker_boots_total") == page("llorch_worker_up", worker="w1") == 1
    for name in ("llorch_redeliveries_total", "llorch_replays_total", "llorch_event_gaps_total",
                 "llorch_rejected_total", "llorch_malformed_total", "llorch_jobs_running",
                 "llorch_jobs_waiting", "llorch_cancel_seconds_count"):
        assert page(name) == 0, name
    assert until(shim, lambda page: page("llorch_sse_clients") == 0)


def test_bad_requests_raise_rejected(shim, serve, tiny_model):
    shim.until(lambda health: health["status"] == "unhealthy")
    assert Page(shim)("llorch_rejected_total") == 0

    def send(**members):
        return httpx.post(f"{shim.url}/execute", timeout=PATIENCE,
                          json={"job_id": "a", "prompt": "Hello", "max_tokens": 4, **members}).status_code

    assert send() == 503
    assert send(temperature=3) == 400
    assert send(prompt="") == 400
    serve(tiny_model, "w1")
    shim.until_healthy()
    assert send(prompt=" the" * 500) == 400
    # The queue's thread counts what the answer, on another one, may be ahead of.
    page = until(shim, lambda page: page("llorch_jobs_total") == 1
                 and page("llorch_rejected_total") == 4)
    assert page("llorch_rejected_total", code="WORKER_LOST") == 1
    assert page("llorch_rejected_total", code="INVALID_REQUEST") == 2
    assert page("llorch_rejected_total", code="CONTEXT_OVERFLOW") == 1
    assert page("llorch_rejected_total") == 4
    # What only a worker can refuse was a job.
    assert page("llorch_jobs_total", outcome="CONTEXT_OVERFLOW") == page("llorch_jobs_total") == 1


def test_a_cancel_is_timed(shim, serve, base_model):
    serve(base_model, "w1")
    shim.until_healthy()
    with shim.stream(job_id="c1", max_tokens=900) as events:
        heard = read_until_tokens(events, 2)
        page = Page(shim)
        assert page("llorch_jobs_running") == page("llorch_sse_clients") == 1
        assert page("llorch_cancel_seconds_count") == 0
        begin = time.monotonic()
        httpx.post(f"{shim.url}/cancel", json={"job_id": "c1"}, timeout=PATIENCE)
        heard += list(events)
        seen = time.monotonic() - begin
    assert heard[-1]["code"] == "CANCELLED"
    page = until(shim, lambda page: page("llorch_jobs_total") == 1)
    assert page("llorch_cancel_seconds_count") == 1
    assert 0 < page("llorch_cancel_seconds_sum") <= seen
    assert page("llorch_jobs_total", outcome="CANCELLED") == 1
    assert page("llorch_jobs_running") == 0


def test_a_killed_worker_is_a_redelivery(shim, serve, base_model):
    workers = {name: serve(base_model, name) for name in ("w1", "w2")}
    shim.until_healthy(2)
    with shim.stream(job_id="k1", max_tokens=40, seed=3) as events:
        heard = read_until_tokens(events, 10)
        name, victim = next((n, w) for n, w in workers.items() if "job begins" in w.log)
        victim.signal(signal.SIGKILL)
        victim.wait()
        # Silent for three seconds: not up, before its jobs are moved.
        until(shim, lambda page: page("llorch_worker_up", worker=name) == 0)
        serve(base_model, name, ports=(victim.jobs_port, victim.control_port))
        heard += list(events)
    assert heard[-1]["type"] == "end"
    page = until(shim, lambda page: page("llorch_worker_boots_total") == 3)
    reasons = {sample.labels["reason"]: sample.value for sample in page.samples
               if sample.name == "llorch_redeliveries_total"}
    # Which of the two comes first is a matter of how long the new process takes to be heard.
    assert reasons["worker_restarted"] + reasons["worker_silent"] == 1, reasons
    assert reasons["worker_left"] == reasons["refused"] == 0, reasons
    assert page("llorch_generated_tokens_total") == heard[-1]["tokens_out"] == 40, "none twice"
    assert page("llorch_jobs_total", outcome="end") == page("llorch_jobs_total") == 1
    assert page("llorch_prompt_tokens_total") == heard[0]["prompt_tokens"]


def test_what_is_no_message_is_counted_on_both_sides(shim, serve, tiny_model):
    worker = serve(tiny_model, "w1")
    shim.until_healthy()
    context = zmq.Context()
    try:
        for port, count in ((worker.jobs_port, 30), (shim.events_port, 7)):
            pipe = context.socket(zmq.PUSH)
            pipe.connect(f"tcp://127.0.0.1:{port}")
            for _ in range(count):
                pipe.send(b"{}")
        page = until(shim, lambda page: page("llorch_malformed_total", side="shim") == 7
                     and page("llorch_malformed_total", side="worker", worker="w1") == 30)
    finally:
        context.destroy(linger=0)
    assert page("llorch_malformed_total") == 37
    assert shim.execute(job_id="a")[-1]["type"] == "end"


def test_the_names_of_worker_http_are_exact(shim, serve, tiny_model):
    """Those of the interface's metrics contract, beside ours, with the same numbers."""
    serve(tiny_model, "w1")
    shim.until_healthy()
    runs = [shim.execute(job_id=f"j{n}", max_tokens=4) for n in range(3)]
    page = until(shim, lambda page: page("worker_requests_total") == 3)
    text = page.response.text
    for line in ("worker_vram_bytes gauge", "worker_requests_total counter", "worker_tokens_in_total counter",
                 "worker_tokens_generated_total counter", "worker_inference_duration_ms histogram",
                 "worker_uptime_seconds counter"):
        assert f"# TYPE {line}\n" in text, line
    assert 'worker_vram_bytes{worker_id="w1"} 0\n' in text
    outcomes = {sample.labels["outcome"]: sample.value for sample in page.samples
                if sample.name == "worker_requests_total"}
    assert outcomes == {"success": 3, "error": 0, "cancelled": 0, "timeout": 0}
    assert page("worker_tokens_in_total") == sum(run[0]["prompt_tokens"] for run in runs)
    assert page("worker_tokens_generated_total") == 12
    assert page("worker_inference_duration_ms_count") == 3
    # In milliseconds: the bounds say so.
    assert 'worker_inference_duration_ms_bucket{le="300000.0"} 3\n' in text
    # The client of Prometheus for Python gives no sample of a counter whose name does not end in `_total`.
    assert re.search(r"^worker_uptime_seconds \d+$", text, re.MULTILINE)
