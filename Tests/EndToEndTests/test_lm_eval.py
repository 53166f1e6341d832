"""EleutherAI's lm-eval, which measures models through `local-completions`, with a task made here and no network.

Its log-likelihoods must be the sums of what `llorch-worker perplexity --per-token` prints for the same tokens.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import subprocess
import sys

import pytest
import tokenizers

from completions import DEMO_MODEL, MODEL, served
from harness import PATIENCE
from PythonSupport.programs import ROOT

TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: {kind}
doc_to_text: "{{{{question}}}}"
doc_to_target: {target}
"""
CHOICES = "doc_to_choice: [\" be\", \" king\", \" thou art\"]\nmetric_list: [{metric: acc}]\n"
GENERATION = "generation_kwargs: {until: [\"\\n\"], max_gen_toks: 12}\nmetric_list: [{metric: exact_match}]\n"
# What `lm_eval run` does, without its index of ten thousand tasks, which takes longer than all else.
PROGRAM = """
import json, sys
import lm_eval
from lm_eval.tasks import TaskManager
samples = lm_eval.simple_evaluate(
    model="local-completions", model_args=sys.argv[2], tasks=["choice", "text"], batch_size=3, log_samples=True,
    task_manager=TaskManager(include_path=sys.argv[1], include_defaults=False), bootstrap_iters=0)["samples"]
print(json.dumps({task: [{name: sample[name] for name in ("doc_id", "arguments", "resps")} for sample in of_task]
                  for task, of_task in samples.items()}))
"""
QUESTIONS = ["To be, or not to", "The", "What says the", "Now is the winter of our"]


@pytest.fixture(scope="module")
def results(tmp_path_factory, shim_binary, worker_binary):
    """The samples of all tasks, by task."""
    folder = tmp_path_factory.mktemp("lm-eval")
    data = folder / "questions.jsonl"
    data.write_text("".join(
        json.dumps({"question": text, "answer": number % 3}) + "\n" for number, text in enumerate(QUESTIONS)))
    for name, kind, rest in [("choice", "multiple_choice", CHOICES), ("text", "generate_until", GENERATION)]:
        (folder / f"{name}.yaml").write_text(
            TASK.format(name=name, data=data, kind=kind, target="answer") + rest)
    with served(folder, shim_binary, worker_binary, model=DEMO_MODEL) as server:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, folder,
             f"model={MODEL},base_url={server.url}/v1/completions,tokenizer={DEMO_MODEL},"
             "tokenizer_backend=huggingface,max_length=256,max_retries=1"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, check=False, cwd=ROOT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "hf")})
        assert done.returncode == 0, done.stderr.decode()[-4000:]
        yield json.loads(done.stdout.splitlines()[-1]) | {"server": server}


def test_log_likelihoods_are_sums_of_perplexitys(results, worker_binary, tmp_path):
    tokenizer = tokenizers.Tokenizer.from_file(str(DEMO_MODEL / "tokenizer.json"))
    compared = greedy = 0
    for sample in results["choice"]:
        for (context, continuation), (answer,) in zip(sample["arguments"], sample["resps"]):
            file = tmp_path / "text"
            file.write_text(context + continuation)
            measured = json.loads(subprocess.run(
                [worker_binary, "perplexity", "--model", DEMO_MODEL, "--file", file, "--json", "--per-token"],
                check=True, stdout=subprocess.PIPE, timeout=60).stdout)["log_probabilities"]
            begin = len(tokenizer.encode(context).ids)
            assert answer[0] == sum(measured[begin - 1:]), (context, continuation)
            compared += 1
            greedy += answer[1]
    assert compared == 3 * len(QUESTIONS)
    assert greedy < compared, "not all continuations are the likeliest"


def test_what_is_greedy_is_what_is_generated(results):
    """`is_greedy` says of a continuation that greedy decoding gives it, so the texts must agree."""
    for choice, text in zip(results["choice"], results["text"]):
        generated = text["resps"][0][0]
        expected = results["server"].execute(
            job_id=f"g{choice['doc_id']}", prompt=text["arguments"][0][0], max_tokens=12,
            temperature=0, stop=["\n", "<|endoftext|>"])
        assert generated == "".join(event["t"] for event in expected if event["type"] == "token")
        for (_, continuation), (answer,) in zip(choice["arguments"], choice["resps"]):
            if answer[1]:
                assert generated.startswith(continuation)
