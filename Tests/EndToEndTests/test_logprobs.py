"""Log-probabilities, prompts of ids and echo: alike over the queue, HTTP, the command line, and through a killed worker."""
# SPDX-License-Identifier: Apache-2.0

import json
import signal

import httpx
import numpy
import pytest
import torch
import transformers

from harness import PATIENCE, Worker, ids_of, run, run_json_lines, text_of
from PythonSupport.ports import free_ports
from shim import read_until_tokens

PROMPT = "ROMEO.\nBut soft, what light through yonder window breaks?\n"
ASKED = {"max_tokens": 24, "temperature": 0.7, "seed": 5, "logprobs": 3, "echo": True}
DEMO = "models/shakespeare"


def entries_of(events):
    return [entry for event in events for entry in event.get("logprobs", [])]


def assert_entries(events):
    entries = entries_of(events)
    assert [entry["id"] for entry in entries] == ids_of(events)
    for place, entry in enumerate(entries):
        if place == 0 and entry["logprob"] is None:
            assert entry["top"] == []
            continue
        values = [top["logprob"] for top in entry["top"]]
        assert len(values) == 3 and values == sorted(values, reverse=True)
        assert 0 >= values[0] >= entry["logprob"]
    return entries


@pytest.fixture
def demo_worker(serve, shim):
    worker = serve(None, "w1")
    shim.until_healthy()
    return worker


def test_every_way_tells_the_same(demo_worker, start_worker, dispatcher, shim, worker_binary, tmp_path):
    over_http = shim.execute(job_id="a", prompt=PROMPT, **ASKED)
    entries = assert_entries(over_http)
    assert text_of(over_http).startswith(PROMPT)
    assert b"".join(bytes(entry["bytes"]) for entry in entries) == text_of(over_http).encode()

    dispatcher.attach(start_worker(name="w2"))
    over_queue = dispatcher.finish(dispatcher.send(PROMPT, **ASKED))
    assert entries_of(over_queue) == entries

    arguments = ["--max-tokens", 24, "--temperature", 0.7, "--seed", 5, "--logprobs", 3, "--echo", "--json"]
    by_command = run_json_lines(worker_binary, "generate", "--prompt", PROMPT, *arguments)
    assert entries_of(by_command) == entries
    count = over_http[0]["prompt_tokens"]
    ids = ids_of(over_http)
    by_ids = run_json_lines(
        worker_binary, "generate", "--ids", ",".join(map(str, ids[:count])), *arguments)
    assert entries_of(by_ids) == entries

    # Another program of ours reads the whole text at once.
    (tmp_path / "text").write_text(text_of(over_http))
    told = json.loads(run(
        worker_binary, "perplexity", "--file", tmp_path / "text", "--json", "--per-token").stdout)
    assert told["tokens"] == len(ids), "the text is cut into the tokens that it was made of"
    assert told["log_probabilities"] == [entry["logprob"] for entry in entries[1:]]


def test_a_text_is_scored_without_generating(demo_worker, shim):
    events = shim.execute(job_id="a", prompt=PROMPT, max_tokens=0, logprobs=3, echo=True)
    assert text_of(events) == PROMPT
    assert events[-1]["stop_reason"] == "MAX_TOKENS"
    assert events[-1]["tokens_out"] == events[0]["prompt_tokens"] == len(assert_entries(events))


def test_they_are_those_of_transformers(demo_worker, shim):
    events = shim.execute(job_id="a", prompt=PROMPT, **ASKED)
    ids = ids_of(events)
    model = transformers.GPT2LMHeadModel.from_pretrained(DEMO, dtype=torch.float32)
    with torch.no_grad():
        rows = torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), dim=-1).numpy()
    for place, entry in enumerate(entries_of(events)[1:]):
        row = rows[place]
        assert entry["logprob"] == pytest.approx(row[ids[place + 1]], abs=1e-3)
        best = numpy.argsort(-row)[:3]
        assert [top["logprob"] for top in entry["top"]] == pytest.approx(row[best], abs=1e-3)


@pytest.mark.parametrize("held", [3, 30], ids=["in the prompt", "in the answer"])
def test_a_killed_worker_leaves_no_seam(start, worker_binary, shim, held):
    ports = free_ports(2)

    def begin():
        return start(Worker, worker_binary, name="w1", events_port=shim.events_port, ports=ports)

    first = begin()
    shim.until_healthy()
    asked = ASKED | {"max_tokens": 400}
    whole = shim.execute(job_id="whole", prompt=PROMPT, **asked)
    assert_entries(whole)
    with shim.stream(job_id="cut", prompt=PROMPT, **asked) as events:
        cut = read_until_tokens(events, held)
        first.signal(signal.SIGKILL)
        first.wait(PATIENCE)
        begin()
        cut += list(events)
    assert "job_id=cut" in first.log and "tokens_out=256" not in first.log.split("job_id=cut")[-1]
    assert text_of(cut) == text_of(whole)
    assert entries_of(cut) == entries_of(whole)


@pytest.mark.parametrize("members, field, constraint", [
    ({"prompt": "a", "logprobs": 11}, "logprobs", "range(0..=10)"),
    ({"prompt": "a", "prompt_ids": [1]}, "prompt_ids", "conflicts(prompt)"),
    ({"prompt_ids": []}, "prompt_ids", "length(1..=16384)"),
    ({"prompt_ids": [4_000_000_000]}, "prompt_ids", "valid_ids"),
    ({"prompt": "a", "max_tokens": 0}, "max_tokens", "range(1..=2048)"),
])
def test_what_is_wrong_is_told(demo_worker, shim, members, field, constraint):
    answer = httpx.post(f"{shim.url}/execute", json={"job_id": "x", "max_tokens": 1} | members, timeout=PATIENCE)
    assert answer.status_code == 400
    assert [(error["field"], error["constraint"]) for error in answer.json()["errors"]] == [(field, constraint)]
