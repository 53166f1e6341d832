"""Compares llorch with llama.cpp on the files of gguf_cases.py: scripts/check-gguf runs it.

llama.cpp answers itself, or its answers are taken from a record, which --record writes.
"""
# SPDX-License-Identifier: Apache-2.0

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from matrix import gguf_arguments, gguf_cases
from matrix.gguf_oracle import ANSWER_TOKENS, PROMPT

RECORD = pathlib.Path(__file__).parents[2] / "Tests/Fixtures/gguf-matrix.json"
# Logits that are closer than this may change places: llama.cpp rounds keys, values and, for blocks, activations.
CLOSE, CLOSE_IN_BLOCKS = 0.02, 0.2


def llama(path, text):
    """llama.cpp's answer for one file, from a process of its own, which some files end with an abort."""
    oracle = pathlib.Path(__file__).with_name("gguf_oracle.py")
    done = subprocess.run([sys.executable, oracle, path], input=text.encode(), capture_output=True, timeout=120)
    if done.returncode < 0:
        return {"refused": f"aborts with signal {-done.returncode}"}
    if done.returncode:
        sys.exit(f"llama.cpp cannot be asked: {done.stderr.decode()[-400:]}")
    answer = json.loads(done.stdout)
    if "refused" in answer:
        answer["refused"] = answer["refused"].replace(str(path), path.name)
    return answer


def ours(worker, path, text):
    """The same of llorch."""
    def ask(*arguments, given=b""):
        done = subprocess.run([worker, *arguments, "--model", path], input=given, capture_output=True, timeout=120)
        if done.returncode == 0:
            return done.stdout.splitlines()
        said = done.stderr.decode().strip().splitlines()
        if done.returncode != 1 or len(said) != 1 or not said[0].startswith(f"error: {path}: "):
            raise Fault(f"{arguments[0]} ends with {done.returncode}: {said[-3:]}")
        raise Refusal(said[0].removeprefix(f"error: {path}: "))

    try:
        (facts,) = ask("inspect", "--json", "--precision", "f32")
        (plain,) = ask("tokenize", "--json", given=text.encode())
        (special,) = ask("tokenize", "--json", "--special-tokens", given=text.encode())
        end = json.loads(ask("generate", "--json", "--precision", "f32", "--temperature", "0", "--seed", "1",
                             "--max-tokens", str(ANSWER_TOKENS), "--prompt", PROMPT)[-1])
    except Refusal as refusal:
        return {"refused": str(refusal)}
    facts = json.loads(facts)
    return {"plain": json.loads(plain), "special": json.loads(special), "ends": facts["end_of_text"],
            "tokens": facts["tokenizer_entries"], "answer": end["ids"], "ended": end["stop_reason"] == "EOS"}


class Refusal(Exception):
    pass


class Fault(Exception):
    pass


def outcome(theirs, found, close):
    """(whether all is well, what happened)"""
    if "refused" in found:
        both = "both refuse: " if "refused" in theirs else "refused here: "
        return True, both + found["refused"]
    if "refused" in theirs:
        return True, "only llorch loads it; llama.cpp: " + theirs["refused"]
    for key in ("plain", "special", "ends"):
        if found[key] != theirs[key]:
            return False, f"{key}: {difference(found[key], theirs[key])}"
    for place, (mine, other, margin) in enumerate(zip(found["answer"], theirs["answer"], theirs["margins"])):
        if margin < close:
            return True, f"equal; the answer up to token {place}, where two tokens are as likely"
        if mine != other and other >= found["tokens"]:
            return True, f"equal up to token {place}, where llama.cpp takes a token that only pads the vocabulary"
        if mine != other:
            return False, f"answer: {difference(found['answer'], theirs['answer'])}"
    if (found["ended"], len(found["answer"])) != (theirs["ended"], len(theirs["answer"])):
        return False, f"end: {found['ended']} after {len(found['answer'])}, not {theirs['ended']} after " \
                      f"{len(theirs['answer'])}"
    return True, "equal"


def difference(found, expected):
    place = next((i for i, (a, b) in enumerate(zip(found, expected)) if a != b), min(len(found), len(expected)))
    return f"at {place} {found[place:place + 6]}, llama.cpp {expected[place:place + 6]}"


def files(options, folder):
    """(name, changes, path) of each file."""
    if options.random or options.seconds:
        end = time.monotonic() + (options.seconds or float("inf"))
        for seed in range(options.seed, options.seed + (options.random or 1 << 40)):
            if time.monotonic() >= end:
                return
            path = folder / f"seed-{seed}.gguf"
            yield f"seed-{seed}", gguf_cases.write_random(seed, path), path
            path.unlink()
    else:
        for name in options.case or gguf_cases.CASES:
            if name not in gguf_cases.CASES:
                sys.exit(f"there is no file {name}; --list prints the names")
            yield name, [name], gguf_cases.write(name, folder / f"{name}.gguf")


def check(options, folder):
    """Rows of (name, whether all is well, what happened)."""
    text, rows = gguf_cases.text(), []
    recorded = json.loads(RECORD.read_text()) if options.recorded else {"files": {}}
    for name, changes, path in files(options, folder):
        digest = hashlib.sha256(path.read_bytes() + text.encode()).hexdigest()
        if options.recorded:
            theirs = recorded["files"].get(name)
            if theirs:
                # Ids that are those of the first file are not written again.
                theirs = {key: recorded["files"]["plain"][key] if value == "plain" else value
                          for key, value in theirs.items()}
            if not theirs or theirs["sha256"] != digest:
                rows.append((name, False, "the record is of another file: scripts/check-gguf --record"))
                continue
        else:
            theirs = llama(path, text)
            recorded["llama"] = theirs.pop("llama", None) or recorded.get("llama")
            recorded["files"][name] = theirs | {"sha256": digest}
        if options.record:
            rows.append((name, True, theirs.get("refused", "answered")))
            continue
        try:
            in_blocks = any("q4" in change or "q8" in change for change in changes)
            fine, happened = outcome(theirs, ours(options.worker, path, text), CLOSE_IN_BLOCKS if in_blocks else CLOSE)
        except Fault as fault:
            fine, happened = False, str(fault)
        is_random = options.random or options.seconds
        rows.append((f"{name} {' '.join(changes)}" if is_random else name, fine, happened))
    if options.record:
        first = recorded["files"]["plain"]
        for name, answer in recorded["files"].items():
            if name != "plain":
                for key in ("plain", "special"):
                    if answer.get(key) == first[key]:
                        answer[key] = "plain"
        lines = [f'"{name}": {json.dumps(answer, separators=(",", ":"))}' for name, answer in recorded["files"].items()]
        RECORD.write_text(f'{{"llama": "{recorded["llama"]}", "files": {{\n' + ",\n".join(lines) + "\n}}\n")
    return rows


def main(given=None):
    options = gguf_arguments.arguments().parse_args(given)
    if options.list:
        print("\n".join(gguf_cases.CASES))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        rows = check(options, pathlib.Path(folder))
    width = max(len(name) for name, _, _ in rows)
    for name, fine, happened in rows:
        if fine and options.seconds:
            continue
        print(f"{'ok  ' if fine else 'FAIL'}  {name:<{width}}  {happened}")
    failed = sum(not fine for _, fine, _ in rows)
    equal = sum(happened.startswith("equal") for _, _, happened in rows)
    print(f"{len(rows)} files: {equal} equal, {len(rows) - equal - failed} refused by one of the two, {failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
