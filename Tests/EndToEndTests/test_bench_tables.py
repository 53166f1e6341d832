"""The parts of scripts/bench that run nothing: ratios, limits, tables, markers. Needs no peers.

What it measures is measured; that the worker's side of it answers is tested here on the tiny model.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import pathlib
import subprocess
import sys

import pytest

from PythonSupport.programs import ROOT

sys.path.insert(0, str(ROOT / "Tools"))

from bench import comparison, limits, plan, report  # noqa: E402
from bench.__main__ import undisturbed  # noqa: E402
from bench.failure import Failure  # noqa: E402
from bench.results import Results  # noqa: E402
from bench.terminal import Progress  # noqa: E402

LIMITS = {"read": 28.8e9, "f32": 117.3e9, "bf16": 234.3e9, "int8": 467.2e9}
UNITS = {"bf16_unit": "fma", "int8_unit": "vpdpbusd"}
MACHINE = {"commit": "abc", "worker": "built from this commit", "processor": "P", "family": "F",
           "flags": ["avx2"], "caches": ["L1 32K"], "cores": 2, "memory_gib": 24, "governor": "g",
           "huge_pages": "madvise", "system": "S", "kernel": "K", "swift": "6", "clang": "c",
           "python": "3"}


@pytest.fixture
def results():
    settings = {"models": ["gpt2-124m"], "precisions": list(plan.PRECISIONS), "rounds": 3, "core": 1,
                "metrics": list(plan.METRICS), "peers": list(plan.PEERS), "quick": False, "gguf": ["q8", "q4"]}
    made = Results.begin(MACHINE, {"llama.cpp": "0.3.36"}, settings, "2026-11-23T00:00:00+00:00")
    made.content["limits"] = [{**LIMITS, **UNITS}, {**LIMITS, "read": 20e9, **UNITS}]
    made.content["load_average"] = [0.1, 1.0]

    def add(precision, metric, *engines, model="gpt2-124m"):
        for key, values in engines:
            made.add(model, precision, metric, key, values)

    add("f32", "decode", (("llorch", "f32"), [50, 46, 48]), (("llama.cpp", "f32"), [40, 42, 38]),
        (("openvino", "f32"), [39, 45, 36]))
    add("f32", "prefill512", (("llorch", "f32"), [600.0]), (("onnxruntime", "f32"), [500.0]))
    add("bf16", "prefill512", (("llorch", "bf16"), [576.0]), (("openvino", "bf16"), [1000.0]))
    add("f32", "load", (("llorch", "f32"), [0.5]), (("llama.cpp", "f32"), [0.4]),
        (("onnxruntime", "f32"), [0.1]))
    add("q8", "memory", (("llorch", "q8"), [180.0]), (("llama.cpp", "q8_0"), [230.0]))
    add(None, "encode", (("llorch", "gpt2"), [40.0]), (("tiktoken", "gpt2"), [16.0]),
        (("tokenizers", "gpt2"), [99.0]), model=None)
    made.note_absent("openvino", "not installed", remedy="scripts/bench --install-peers")
    return made


def row(results, metric, precision, model="gpt2-124m"):
    return comparison.row(results, model, precision, metric)


def test_the_best_median_is_the_peer_and_rounds_are_compared_with_their_own(results):
    found = row(results, "decode", "f32")
    assert found.peer == ("llama.cpp", "f32")  # OpenVINO's best round is better, its median is not.
    assert found.ratio == pytest.approx(48 / 40)
    assert found.spread == pytest.approx((46 / 42, 48 / 38))
    assert found.verdict == "pass"


def test_a_ratio_below_its_target_is_a_miss(results):
    for sample in results.content["samples"]:
        if sample["engine"] == "llorch" and sample["metric"] == "decode":
            sample["values"] = [45.9, 45.9, 45.9]  # 1.1475 of 40
    assert row(results, "decode", "f32").verdict == "miss"


def test_the_share_is_of_the_best_limit_measured(results):
    found = row(results, "decode", "f32")
    # All of GPT-2's 124,439,808 weights but the 1,024 positions, each read once.
    assert found.limit == pytest.approx(28.8e9 / (4 * (124_439_808 - 1_024 * 768)))
    assert found.share == pytest.approx(48 / found.limit)


@pytest.mark.parametrize(("model", "precision", "metric", "expected"), [
    ("gpt2-124m", "f32", "decode", 58), ("gpt2-355m", "q8", "decode", 81),
    ("gpt2-124m", "q4", "decode", 414), ("gpt2-124m", "f32", "decode900", 51),
    ("gpt2-124m", "q4", "decode900", 279), ("gpt2-124m", "f32", "prefill512", 654),
    ("gpt2-355m", "q4", "prefill512", 742), ("gpt2-124m", "bf16", "prefill512", 1306),
])
def test_limits_of_a_known_machine(model, precision, metric, expected):
    assert round(limits.tokens_per_second(LIMITS, model, precision, metric)) == expected


def test_sixteen_bit_prefill_is_held_against_our_own_f32(results):
    found = row(results, "prefill512", "bf16")
    assert found.peer == ("openvino", "bf16") and found.ratio == pytest.approx(0.576)
    assert found.reached == pytest.approx(0.96) and found.verdict == "pass"


def test_load_is_held_against_llama_cpp_and_less_is_better(results):
    found = row(results, "load", "f32")
    assert found.peer == ("llama.cpp", "f32") and found.ratio == pytest.approx(0.8)
    assert found.verdict == "miss"


def test_memory_is_held_against_what_weights_and_cache_need(results):
    allowed = plan.allowed_bytes("gpt2-124m", "q8") / 1e6
    # 8.5 bits of 123.5 million, f32 for what is small, all by 1.1, and 37.7 MB of halves as cache.
    assert allowed == pytest.approx(1.1 * (131.2 + 3.6) + 37.7, abs=1)
    assert row(results, "memory", "q8").verdict == "pass"
    results.content["samples"] = [
        {**sample, "values": [allowed + 1]} if sample["engine"] == "llorch" else sample
        for sample in results.content["samples"]]
    assert row(results, "memory", "q8").verdict == "miss"


def test_tokenizing_is_held_against_tiktoken_whoever_else_is_faster(results):
    found = row(results, "encode", None, model=None)
    assert found.peer == ("tiktoken", "gpt2") and found.ratio == pytest.approx(2.5)


def test_what_was_not_measured_is_neither_pass_nor_miss(results):
    found = row(results, "decode", "q4")
    assert (found.ours, found.ratio, found.verdict) == (None, None, "–")


def test_every_row_of_the_plan_has_a_target_and_a_place():
    for metric in plan.ROWS:
        for precision in plan.PRECISIONS:
            assert (metric, precision) in plan.TARGETS
    assert set(plan.TARGETS) == {(metric, precision) for metric in plan.ROWS
                                 for precision in plan.PRECISIONS} | {("encode", None)}


def test_tables_are_whole(results):
    text = report.markdown(results, "picture.svg")
    for table in text.split("\n\n"):
        lines = [line for line in table.splitlines() if line.startswith("|")]
        # A bar too many or too few would break a row.
        assert len({line.count("|") for line in lines}) <= 1, table
        assert len({len(line) for line in lines}) <= 1, table
    decode = next(line for line in text.splitlines() if line.startswith("| decode, 32 bit"))
    cells = [cell.strip() for cell in decode.strip("|").split("|")]
    assert cells == ["decode, 32 bit", "58.2", "48.0 (46.0–50.0)", "llama.cpp f32",
                     "40.0 (38.0–42.0)", "1.20 (1.09–1.26)", "≥ 1.15", "82%", "pass"]
    assert "**miss**" in text and "- OpenVINO: not installed; `scripts/bench --install-peers`" in text
    assert "![llorch and its peers, tokens per second](picture.svg)" in text


@pytest.mark.parametrize(("value", "expected"), [
    (0.1634, "0.163"), (1, "1.00"), (9.994, "9.99"), (9.996, "10.0"), (99.94, "99.9"), (99.96, "100"),
    (1367.8, "1,368")])
def test_three_digits_count(value, expected):
    assert report.number(value) == expected


def test_only_what_is_between_the_markers_is_replaced():
    text = f"# Title\n\n{report.BEGIN}\n\nold\n\n{report.END}\n\nafter\n"
    once = report.between_markers(text, "new")
    assert once == f"# Title\n\n{report.BEGIN}\n\nnew\n\n{report.END}\n\nafter\n"
    assert report.between_markers(once, "new") == once


@pytest.mark.parametrize(("shares", "written"), [([0.99, 0.5, 0.97], True), ([0.99, 0.8, 0.7], False)])
def test_a_run_that_was_disturbed_is_not_published_by_itself(results, shares, written, capsys):
    for share in shares:
        results.note_core_share(share)
    assert undisturbed(results, Progress()) is written
    assert ("the engines had 80% of the core" in capsys.readouterr().err) is not written
    assert f"had {sorted(shares)[1]:.0%} of the core" in report.markdown(results)


def test_places_on_this_machine_are_not_published(results):
    results.note_absent("llama.cpp", f"{ROOT}/x and {pathlib.Path.home()}/y are not there", "f16")
    assert "- llama.cpp f16: x and ~/y are not there" in report.markdown(results)


@pytest.mark.parametrize("text", [
    "nothing", report.BEGIN, f"{report.END}\n{report.BEGIN}", f"{report.BEGIN}{report.END}{report.END}"])
def test_a_document_without_its_markers_is_left_alone(text):
    with pytest.raises(Failure, match="bench:"):
        report.between_markers(text, "new", "docs/x.md")


def test_the_document_has_its_markers():
    text = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    assert "new" in report.between_markers(text, "new")


def bench(*arguments):
    return subprocess.run(
        [ROOT / "scripts/bench", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, encoding="utf-8", timeout=60,
        env={**os.environ, "LLORCH_WORKER": "/bin/false"})


def test_samples_come_back_as_the_same_tables(results, tmp_path):
    results.write(tmp_path / "run.json")
    done = bench("--table", tmp_path / "run.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == report.markdown(results) + "\n"


@pytest.mark.parametrize(("arguments", "message"), [
    (["--models", "gpt2-9b"], "known are gpt2-124m, gpt2-355m"),
    (["--precisions", ","], "--precisions names nothing"),
    (["--peers", "vllm"], "known are llama.cpp"),
    (["--gguf", "f16"], "--gguf: there is no 'f16'"),
    (["--rounds", "0"], "at least 1, found 0"),
    (["--core", "99999"], "--core must be from 0 to"),
    (["--table", "/nowhere"], "/nowhere cannot be read"),
])
def test_mistakes_are_named_with_what_would_be_right(arguments, message):
    done = bench(*arguments)
    assert done.returncode == 1 and message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_worker_measures_what_it_is_asked(worker_binary, tiny_model):
    asked = ["pp16", "tg4 @ d8", "tg2 @ d8", "tg1 @ d100", "tg1 @ d128", "tg0", "pp", "tg4 @ 8",
             "pp9223372036854775807 @ d1", ""]
    done = subprocess.run(
        [worker_binary, "bench", "--model", tiny_model, "--stdin"], input="\n".join(asked) + "\n",
        stdout=subprocess.PIPE, encoding="utf-8", timeout=60, check=True)
    first, *answers = map(json.loads, done.stdout.splitlines())
    assert first["load_ns"] > 0 and first["cache_size"] > 0
    assert len(answers) == len(asked)
    for test, answer in zip(asked, answers):
        if test in ("pp16", "tg4 @ d8", "tg2 @ d8", "tg1 @ d100"):
            assert answer["test"] == test and answer["ns"] > 0
        else:
            assert set(answer) == {"error"}, test


def test_the_worker_times_its_tokenizer(worker_binary, gpt2_tokenizer_dir, tmp_path):
    text = tmp_path / "text"
    text.write_bytes(b"Hello world" * 100)
    done = subprocess.run(
        [worker_binary, "bench", "--model", gpt2_tokenizer_dir, "--tokenizer", text, "-r", "3", "--json"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60, check=True)
    (answer,) = json.loads(done.stdout)
    assert answer["n_bytes"] == 1100 and answer["n_tokens"] == 200
    assert len(answer["samples_ns"]) == 3 and min(answer["samples_ns"]) > 0
    assert answer["min_mbps"] <= answer["median_mbps"] <= answer["max_mbps"]
