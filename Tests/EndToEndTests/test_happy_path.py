"""One worker over ZeroMQ when nothing goes wrong: grammar, order, heartbeats, reproducible text."""
# SPDX-License-Identifier: Apache-2.0

import pytest

from harness import LONG_PROMPT, assert_grammar, assert_no_gaps, ids_of, run_json_lines, text_of


def test_a_job_is_answered_by_the_grammar(worker, dispatcher):
    events = dispatcher.finish(dispatcher.send("Hello.", max_tokens=12, seed=1))
    assert_grammar(events)
    assert [event["type"] for event in events[:2]] == ["accepted", "started"]
    assert events[1]["seed"] == 1
    assert events[-1]["type"] == "end"
    assert events[-1]["stop_reason"] in ("MAX_TOKENS", "EOS")
    assert {"worker": worker.name, "attempt": 1, "v": 1}.items() <= events[-1].items()


def test_the_queue_gives_the_same_text_as_the_command_line(
        worker, dispatcher, worker_binary, tiny_model):
    members = dict(max_tokens=40, seed=7, temperature=0.8, top_k=50, top_p=0.9)
    events = dispatcher.finish(dispatcher.send("Once upon", **members))
    last = run_json_lines(
        worker_binary, "generate", "--model", tiny_model, "--prompt", "Once upon", "--json",
        "--max-tokens", 40, "--seed", 7, "--temperature", 0.8, "--top-k", 50, "--top-p", 0.9)[-1]
    assert ids_of(events) == last["ids"]
    assert text_of(events) == last["text"]
    assert dispatcher.finish(dispatcher.send("Once upon", **members | {"seed": 8})) != events


def test_nothing_is_lost_from_the_numbering(worker, dispatcher):
    for number in range(20):
        dispatcher.finish(dispatcher.send(f"Job {number}", max_tokens=6))
    assert_no_gaps(dispatcher.heard)


def test_a_resumed_job_goes_on_where_it_was(worker, dispatcher):
    whole = dispatcher.finish(dispatcher.send("Hello", job_id="whole", seed=3, max_tokens=20))
    ids = ids_of(whole)
    for held in (1, 7, len(ids) - 1):
        job = dispatcher.send(
            "Hello", job_id=f"resumed-{held}", seed=3, max_tokens=20, resume_ids=ids[:held])
        events = dispatcher.finish(job)
        assert ids_of(events) == ids[held:]
        assert next(e for e in events if e["type"] == "token")["i"] == held


@pytest.mark.parametrize("seed", range(3))
def test_a_job_resumed_after_any_piece_goes_on_alike(worker, dispatcher, seed):
    """Half of this model's tokens are single bytes: characters are cut all over the answer. The stop
    sequence begins in one piece and ends in another."""
    members = dict(prompt="Hello", seed=seed, max_tokens=48)
    text = text_of(dispatcher.finish(dispatcher.send(**members)))
    members["stop"] = [text[len(text) // 2:][:12]]
    whole = dispatcher.finish(dispatcher.send(**members))
    pieces = [event for event in whole if event["type"] == "token"]
    assert whole[-1]["stop_reason"] == "STOP_SEQUENCE" and len(pieces) > 5
    for count in range(len(pieces) + 1):
        held = ids_of(pieces[:count])
        events = dispatcher.finish(dispatcher.send(resume_ids=held, **members))
        assert text_of(pieces[:count]) + text_of(events) == text_of(whole)
        assert held + ids_of(events) == ids_of(whole)
        for member in ("tokens_out", "stop_reason", "stop_sequence_matched"):
            assert events[-1][member] == whole[-1][member]


def test_the_demo_model_is_the_default(start_worker, dispatcher):
    heartbeat = dispatcher.attach(start_worker())
    assert heartbeat["model"]["name"] == "shakespeare"
    assert heartbeat["model"]["tokenizer_kind"] == "hf-json"
    events = dispatcher.finish(dispatcher.send("ROMEO.", max_tokens=32, seed=1))
    assert_grammar(events)
    assert len(text_of(events)) > 20


@pytest.mark.parametrize("chunk", [None, 512])
def test_heartbeats_go_on_inside_a_long_prefill(start_worker, dispatcher, base_model, chunk):
    """Each job is one prefill and one token: what comes between its `started` and its first token was sent while
    the worker computed. How long a worker is silent at most: T25 of the fault tests.
    """
    arguments = ["--chunk", str(chunk)] if chunk else []
    dispatcher.attach(start_worker(base_model, arguments=arguments))
    beats, jobs = 0, 0
    # As many jobs as it takes: on a fast machine a prefill may pass between two heartbeats.
    while beats < 3 and jobs < 40:
        job = dispatcher.send(LONG_PROMPT, max_tokens=1)
        jobs += 1
        dispatcher.until_job(job, "started")
        since = len(dispatcher.heard)
        if not dispatcher.terminals(job) and not any(e["type"] == "token" for e in dispatcher.of(job)):
            dispatcher.until_job(job, "token", "end", "error")
        beats += sum(event["type"] == "heartbeat" for event in dispatcher.heard[since:])
        assert dispatcher.finish(job)[-1]["type"] == "end"
    print(f"{beats} heartbeats inside {jobs} prefills")
    assert beats >= 3
