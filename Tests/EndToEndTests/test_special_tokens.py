"""Special tokens in prompts: text by default, tokens on request, alike over the queue, HTTP and the command line."""
# SPDX-License-Identifier: Apache-2.0

import pytest

from harness import ids_of, run_json_lines

MARK = "<|endoftext|>"
# The mark is one token, and so are the line feed and "A" beside it.
PROMPT = f"{MARK}\nA"


@pytest.fixture
def demo_worker(serve, shim):
    """The demo model's vocabulary has the mark."""
    worker = serve(None, "w1")
    shim.until_healthy()
    return worker


def test_http_reads_the_mark_on_request_only(demo_worker, shim):
    counts = {}
    for asked in (None, False, True):
        members = {} if asked is None else {"special_tokens": asked}
        events = shim.execute(
            job_id=f"job-{asked}", prompt=PROMPT, max_tokens=8, temperature=0, **members)
        counts[asked] = events[0]["prompt_tokens"]
    assert counts[True] == 3
    assert counts[None] == counts[False] > 3


def test_the_queue_and_the_command_line_agree(start_worker, dispatcher, worker_binary):
    dispatcher.attach(start_worker())
    for flag, arguments in ((True, ["--special-tokens"]), (False, [])):
        events = dispatcher.finish(dispatcher.send(
            PROMPT, max_tokens=12, temperature=0, special_tokens=flag))
        last = run_json_lines(
            worker_binary, "generate", "--prompt", PROMPT, "--max-tokens", 12, "--temperature", 0,
            "--json", *arguments)[-1]
        assert ids_of(events) == last["ids"]
        assert (events[-1]["prompt_tokens"] == 3) is flag
