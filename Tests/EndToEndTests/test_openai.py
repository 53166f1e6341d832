"""OpenAI's clients against the built server and a real model: the package `openai`, LangChain, curl."""
# SPDX-License-Identifier: Apache-2.0

import asyncio
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import time

import httpx
import openai
import pytest

from completions import DEMO_MODEL, MODEL, metric, put_together, seed_of, served, worker_of
from harness import PATIENCE, text_of
from PythonSupport.ports import free_ports
from PythonSupport.programs import ROOT
from shim import Shim

TOKEN = "sk-llorch-test"
PROMPT = "To be, or"


@pytest.fixture(scope="module")
def demo(tmp_path_factory, shim_binary, worker_binary):
    with served(tmp_path_factory.mktemp("demo"), shim_binary, worker_binary, model=DEMO_MODEL) as server:
        yield server


@pytest.fixture(scope="module")
def client(demo):
    return openai.OpenAI(base_url=f"{demo.url}/v1", api_key="none", timeout=PATIENCE, max_retries=0)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, shim_binary, stub_binary):
    """A server with a token, whose worker takes 5 ms a token."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    with served(folder, shim_binary, stub_binary, shim=["--token-file", folder / "token"],
                worker=["--engine", "stub:ms=5"]) as server:
        yield server


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)  # between two looks, not in place of one


def executed(server, prompt=PROMPT, **members):
    return text_of(server.execute(job_id=f"e{time.monotonic_ns()}", prompt=prompt, **members))


# The openai package

def test_a_completion_has_the_text_of_execute(demo, client):
    whole = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=24, seed=7)
    choice = whole.choices[0]
    assert choice.text == executed(demo, max_tokens=24, seed=7)
    assert choice.finish_reason in ("stop", "length") and choice.logprobs is None
    assert whole.object == "text_completion" and whole.model == MODEL and whole.id.startswith("cmpl-")
    assert whole.system_fingerprint.endswith("-f32") and abs(whole.created - time.time()) < 3600
    assert whole._request_id
    streamed = list(client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=24, seed=7, stream=True))
    assert "".join(chunk.choices[0].text for chunk in streamed) == choice.text
    assert [chunk.choices[0].finish_reason for chunk in streamed][-1] == choice.finish_reason
    assert {chunk.id for chunk in streamed} != {whole.id}
    assert {chunk.system_fingerprint for chunk in streamed} == {whole.system_fingerprint}


def test_the_async_client_gets_the_same(demo):
    async def ask():
        async with openai.AsyncOpenAI(base_url=f"{demo.url}/v1", api_key="none", timeout=PATIENCE) as client:
            several = await asyncio.gather(*(
                client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=9, seed=seed) for seed in range(6)))
            stream = await client.completions.create(
                model=MODEL, prompt=PROMPT, max_tokens=9, seed=3, stream=True)
            return [one.choices[0].text for one in several], "".join(
                [chunk.choices[0].text async for chunk in stream])

    texts, streamed = asyncio.run(ask())
    assert texts == [executed(demo, max_tokens=9, seed=seed) for seed in range(6)]
    assert streamed == texts[3]


def test_prompts_come_in_four_forms(demo, client, worker_binary):
    ids = json.loads(subprocess.run(
        [worker_binary, "tokenize", "--model", DEMO_MODEL, "--json"], check=True, timeout=PATIENCE,
        input=PROMPT.encode(), stdout=subprocess.PIPE).stdout)
    texts = [executed(demo, prompt, max_tokens=8, seed=seed_of(choice, 5))
             for choice, prompt in enumerate([PROMPT, "Good night"])]
    for prompt, expected in [(PROMPT, texts[:1]), ([PROMPT, "Good night"], texts), (ids, texts[:1]), ([ids], texts[:1])]:
        answer = client.completions.create(model=MODEL, prompt=prompt, max_tokens=8, seed=5)
        assert [choice.text for choice in answer.choices] == expected, prompt
        assert [choice.index for choice in answer.choices] == list(range(len(expected)))


@pytest.mark.parametrize("is_stream", [False, True])
def test_several_completions_have_seeds_of_their_own(demo, client, is_stream):
    given = dict(model=MODEL, prompt=[PROMPT, "Good night"], n=3, max_tokens=6, seed=-2)
    if is_stream:
        chunks = list(client.completions.create(**given, stream=True, stream_options={"include_usage": True}))
        choices = put_together([chunk.model_dump() for chunk in chunks])
        usage = chunks[-1].usage
        assert chunks[-1].choices == [] and all(chunk.usage is None for chunk in chunks[:-1])
    else:
        answer = client.completions.create(**given)
        choices, usage = answer.model_dump()["choices"], answer.usage
    expected = [executed(demo, prompt, max_tokens=6, seed=seed_of(place, 2**64 - 2))
                for place, prompt in enumerate([PROMPT] * 3 + ["Good night"] * 3)]
    assert [choice["text"] for choice in choices] == expected
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.completion_tokens <= 36 and usage.prompt_tokens > 2


def test_stop_sequences_end_an_answer(demo, client):
    text = executed(demo, max_tokens=40, seed=1)
    stop = text[10:13]
    answer = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=40, seed=1, stop=stop)
    assert answer.choices[0].text == text[:text.index(stop)] and answer.choices[0].finish_reason == "stop"


def test_log_probabilities_are_those_of_execute_and_of_perplexity(demo, client, worker_binary, tmp_path):
    members = dict(max_tokens=5, seed=4, echo=True, logprobs=3)
    choice = client.completions.create(model=MODEL, prompt=PROMPT, **members).choices[0]
    events = demo.execute(job_id="logprobs", prompt=PROMPT, **members)
    entries = [entry for event in events if event["type"] == "token" for entry in event["logprobs"]]
    entries += [event["end_mark"] for event in events if "end_mark" in event]
    lists = choice.logprobs
    assert choice.text == text_of(events) and choice.text.startswith(PROMPT)
    assert lists.token_logprobs == [entry["logprob"] for entry in entries] and lists.token_logprobs[0] is None
    assert lists.top_logprobs[0] is None
    for name, value, top, entry in list(zip(lists.tokens, lists.token_logprobs, lists.top_logprobs, entries))[1:]:
        assert name.encode() == bytes(entry["bytes"]) or name.startswith("bytes:")
        assert top[name] == value and len(top) in (3, 4)
        assert sorted(top.values(), reverse=True)[:3] == [other["logprob"] for other in entry["top"]]
    # The text is all tokens but an end mark.
    ascii = [name for name in lists.tokens if not name.startswith("bytes:")]
    assert [lists.text_offset[i] for i in range(len(ascii))][:4] == [len("".join(ascii[:i])) for i in range(4)]
    file = tmp_path / "text"
    file.write_text(choice.text)
    measured = json.loads(subprocess.run(
        [worker_binary, "perplexity", "--model", DEMO_MODEL, "--file", file, "--json", "--per-token"],
        check=True, timeout=PATIENCE, stdout=subprocess.PIPE).stdout)["log_probabilities"]
    prompt_tokens = events[0]["prompt_tokens"]
    assert lists.token_logprobs[1:prompt_tokens] == measured[:prompt_tokens - 1]


def test_only_the_prompt_can_be_measured(client):
    answer = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=0, echo=True, logprobs=0)
    assert answer.choices[0].text == PROMPT and answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 0
    assert len(answer.choices[0].logprobs.tokens) == answer.usage.prompt_tokens
    assert answer.choices[0].logprobs.top_logprobs is None


def test_models(client):
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).owned_by == "llorch"
    with pytest.raises(openai.NotFoundError) as error:
        client.models.retrieve("gpt-4")
    assert error.value.code == "model_not_found"


def test_what_is_not_supported_is_an_error(client):
    with pytest.raises(openai.NotFoundError, match="GPT-2 has no chat template"):
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}])
    for member, value in [("suffix", "b"), ("presence_penalty", 1.0), ("logit_bias", {"5": 1}), ("best_of", 2),
                          ("max_tokens", 0), ("logprobs", 6)]:
        with pytest.raises(openai.BadRequestError) as error:
            client.completions.create(model=MODEL, prompt=PROMPT, **{member: value})
        assert error.value.param == member and error.value.type == "invalid_request_error", member
    with pytest.raises(openai.BadRequestError, match="Unrecognized request argument supplied: guided_json"):
        client.completions.create(model=MODEL, prompt=PROMPT, extra_body={"guided_json": {}})
    with pytest.raises(openai.BadRequestError) as error:
        client.completions.create(model=MODEL, prompt="word " * 2000)
    assert error.value.code == "context_length_exceeded" and error.value.param == "prompt"
    with pytest.raises(openai.BadRequestError) as error:
        client.completions.create(model=MODEL, prompt=[[5], [99_999]])
    assert error.value.param == "prompt"
    # Our own members are taken.
    client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=1,
                              extra_body={"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1})


def test_a_wrong_key_is_an_authentication_error(guarded):
    with pytest.raises(openai.AuthenticationError) as error:
        openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="sk-wrong", max_retries=0).models.list()
    assert error.value.code == "invalid_api_key"
    assert [m.id for m in openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=TOKEN).models.list()] == ["stub"]


def test_a_client_that_stops_reading_ends_its_jobs(guarded):
    headers = {"Authorization": f"Bearer {TOKEN}"}

    def numbers():
        page = httpx.get(f"{guarded.url}/metrics", headers=headers, timeout=PATIENCE).text
        return [float(line.rsplit(" ", 1)[1]) for line in page.splitlines()
                if line.startswith(("llorch_jobs_running ", "llorch_jobs_waiting "))]

    client = openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=TOKEN, timeout=PATIENCE)
    stream = client.completions.create(model="stub", prompt="Hi", n=8, max_tokens=2000, stream=True)
    next(iter(stream))
    assert sum(numbers()) == 8
    stream.close()
    until(lambda: sum(numbers()) == 0, "no job runs or waits")


def test_a_client_tries_again_until_a_worker_serves(tmp_path, shim_binary, stub_binary):
    """503 while there is no worker, 429 while the queue is full; both have Retry-After."""
    server = Shim(shim_binary, tmp_path / "shim.log", arguments=["--backlog", 1])
    try:
        server.until(lambda health: health["status"] == "unhealthy")
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", timeout=PATIENCE, max_retries=50)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            early = pool.submit(client.completions.create, model="stub", prompt="Hi", max_tokens=3)
            until(lambda: metric(server, 'llorch_rejected_total{code="WORKER_LOST"}') > 0, "a first refusal")
            with worker_of(server, tmp_path, stub_binary, arguments=["--engine", "stub:ms=5"]):
                assert len(early.result().choices[0].text.split()) == 3
                with server.stream(job_id="runs", max_tokens=2000) as runs:
                    next(runs)
                    with server.stream(job_id="waits", max_tokens=2000):
                        late = pool.submit(client.completions.create, model="stub", prompt="Hi", max_tokens=3)
                        until(lambda: metric(server, 'llorch_rejected_total{code="QUEUE_FULL"}') > 0, "a refusal")
                assert len(late.result().choices[0].text.split()) == 3
        refused = httpx.post(f"{server.url}/v1/completions", json={"model": "stub", "prompt": "Hi", "n": 0})
        assert refused.status_code == 400 and "x-should-retry" not in refused.headers
    finally:
        server.kill()


def test_a_deadline_ends_every_choice(guarded):
    def ask(deadline, **members):
        return httpx.post(
            f"{guarded.url}/v1/completions", timeout=PATIENCE, json={"model": "stub", "prompt": "Hi"} | members,
            headers={"Authorization": f"Bearer {TOKEN}", "X-Deadline": deadline})

    passed = ask("2000-01-01T00:00:00Z")
    assert passed.status_code == 504 and "passed" in passed.json()["error"]["message"]
    assert ask("soon").json()["error"]["param"] == "X-Deadline"
    late = ask(str(int(time.time() * 1000) + 300), n=2, max_tokens=2000)
    assert late.status_code == 504


# Others

def test_nothing_is_lost_when_the_worker_is_killed(tmp_path, shim_binary, worker_binary):
    """Of two choices with log-probabilities, each is the same as without the fault, number for number."""
    server = Shim(shim_binary, tmp_path / "shim.log")
    ports = free_ports(2)
    body = {"model": MODEL, "prompt": PROMPT, "n": 2, "seed": 11, "max_tokens": 220, "logprobs": 2, "echo": True,
            "stream": True}
    try:
        with worker_of(server, tmp_path, worker_binary, model=DEMO_MODEL, ports=ports) as worker:
            server.until_healthy()
            with httpx.stream("POST", f"{server.url}/v1/completions", json=body, timeout=PATIENCE) as answer:
                undisturbed = put_together(chunks_of(answer.iter_lines()))
            with httpx.stream("POST", f"{server.url}/v1/completions", json=body, timeout=PATIENCE) as answer:
                lines = answer.iter_lines()
                chunks = [next_chunk(lines) for _ in range(12)]
                worker.signal(signal.SIGKILL)
                worker.wait()
                with worker_of(server, tmp_path, worker_binary, model=DEMO_MODEL, ports=ports, log="second.log") as second:
                    chunks += chunks_of(lines)
                    assert second.log.count("job begins") >= 1, "the worker was killed too late"
    finally:
        server.kill()
    assert [choice["finish_reason"] for choice in undisturbed].count(None) == 0
    assert put_together(chunks) == undisturbed
    assert undisturbed[0]["text"] != undisturbed[1]["text"]


def next_chunk(lines):
    return next(json.loads(line[6:]) for line in lines if line.startswith("data: {"))


def chunks_of(lines):
    chunks, is_done = [], False
    for line in lines:
        assert not (is_done and line), "a line behind [DONE]"
        is_done = is_done or line == "data: [DONE]"
        if line.startswith("data: {"):
            chunks.append(json.loads(line[6:]))
    assert is_done
    return chunks


def test_curl_sees_a_stream(demo):
    done = subprocess.run(
        ["curl", "-sSN", "--max-time", str(int(PATIENCE)), f"{demo.url}/v1/completions", "-H",
         "Content-Type: application/json", "-d",
         json.dumps({"model": MODEL, "prompt": PROMPT, "max_tokens": 4, "seed": 7, "stream": True})],
        check=True, stdout=subprocess.PIPE, timeout=2 * PATIENCE)
    lines = done.stdout.decode().splitlines()
    assert lines[-2:] == ["data: [DONE]", ""]
    text = "".join(chunk["choices"][0]["text"] for chunk in chunks_of(lines))
    assert text == executed(demo, max_tokens=4, seed=7)


LANGCHAIN = """
import json
from langchain_openai import OpenAI
model = OpenAI(base_url=url, api_key="none", model=name, temperature=0, max_tokens=12, max_retries=0)
print(json.dumps([model.invoke(prompt), "".join(model.stream(prompt)), *model.batch([prompt])]))
"""


def test_langchain(demo):
    """In a process of its own: what it imports is much, and stays."""
    program = f"url, name, prompt = {demo.url + '/v1'!r}, {MODEL!r}, {PROMPT!r}\n" + LANGCHAIN
    done = subprocess.run(
        [sys.executable, "-c", program], timeout=PATIENCE, check=False, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "LANGSMITH_TRACING": "false"})
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    assert set(json.loads(done.stdout)) == {executed(demo, max_tokens=12, temperature=0)}
