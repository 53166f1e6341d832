"""usage: tokenizer_speed.py WORKER [--rounds N] [--core N] [--folder FOLDER] [--json FILE]

Times llorch's tokenizer and tiktoken in turn, in one run on one core, over text found on this machine, whole
and in documents of 64 KiB; then llorch's alone over hostile texts of 1, 2 and 4 MiB, where twice the text must
take about twice the time. Times are the thread's processor time, so that other programs on the core count
little. Prints Markdown. Ends with 1 if ids differ, but never because of a time.

WORKER is a built llorch-worker. tiktoken is built by hand from the vocabulary in Tests/Fixtures.
"""
# SPDX-License-Identifier: Apache-2.0

import argparse
import gzip
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

from bench.peers.encoders import tiktoken_encoding

ROOT = pathlib.Path(__file__).resolve().parents[2]
VOCABULARY = ROOT / "Tests/Fixtures/gpt2-tokenizer"
DOCUMENT = 65536


def text_of(files, limit):
    """The first `limit` bytes of the UTF-8 texts among `files`."""
    parts, size = [], 0
    for file in files:
        try:
            content = (gzip.open if file.suffix == ".gz" else open)(file, "rb").read()
            parts.append(content.decode("utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
        size += len(content)
        if size >= limit:
            break
    return "\n".join(parts).encode()[:limit].decode("utf-8", "ignore")


def messages():
    """Lines of every language that this machine has translations or locales of."""
    lines, size = [], 0
    files = [*pathlib.Path("/usr/share/locale").glob("*/LC_MESSAGES/*.mo"),
             *pathlib.Path("/usr/share/i18n/locales").glob("*")]
    for file in sorted(files, key=lambda file: (file.name, file)):
        if not file.is_file():
            continue
        text = file.read_bytes().decode("utf-8", "ignore").replace("\0", "\n")
        for line in text.split("\n"):
            if len(line) > 8 and line.isprintable() and not line.isascii():
                lines.append(line)
                size += len(line) + 1
        if size > 1_500_000:
            break
    return "\n".join(lines)[:1_500_000]


def corpora():
    documents = pathlib.Path("/usr/share/doc")
    english = text_of([ROOT / "models/shakespeare/validation.txt",
                       *sorted(pathlib.Path("/usr/share/common-licenses").glob("*")),
                       *sorted(documents.glob("**/*.gz"))], 4_000_000)
    source = text_of(sorted(pathlib.Path("/usr/lib").glob("python3*/**/*.py")), 3_000_000)
    if len(source) < 1_000_000:
        source = text_of(sorted(pathlib.Path(json.__file__).parents[1].glob("**/*.py")), 3_000_000)
    unicode = messages()
    return {"english": english, "unicode": unicode, "source": source,
            "mixed": english + unicode + source}


def hostile(size):
    """Texts of about `size` bytes; the comments name what each would trip."""
    choice = random.Random(7)
    repeated = {
        "one letter": "a", "spaces": " ", "newlines": "\n", "emoji": "😀", "one digit": "1",
        "digits": "0123456789", "apostrophes": "'", "marks": "!", "combining marks": "\u0301",
        "NUL": "\0", "no-break spaces": "\u00a0", "one ideograph": "日",
        # A contraction at every turn, a space before every word.
        "contractions": "'s't're", "lone letters": " a",
        # Long words of the vocabulary, begun and never finished.
        "long tokens": "-" * 63 + "=", "half tokens": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    }
    texts = {name: unit * (size // len(unit.encode())) for name, unit in repeated.items()}
    # One word in which merges of every rank meet.
    texts["random letters"] = "".join(choice.choices("etaoinshrdlucmfwypvbgkjqxz", k=size))
    texts["random ideographs"] = "".join(
        chr(choice.randrange(0x4E00, 0x9FA5)) for _ in range(size // 3))
    return texts


def cut(text):
    """As `bench --document-bytes` cuts."""
    documents, start, content = [], 0, text.encode()
    while start < len(content):
        end = content.find(b"\n", start + DOCUMENT - 1)
        end = len(content) if end < 0 else end + 1
        documents.append(content[start:end].decode())
        start = end
    return documents


def fnv1a(ids, digest=0xCBF29CE484222325):
    for token in ids:
        digest = ((digest ^ token) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return digest


class Worker:
    def __init__(self, path):
        self.command = [path, "bench", "--model", str(VOCABULARY), "--json"]

    def bench(self, file, repetitions, documents=False):
        command = [*self.command, "-r", str(repetitions)]
        command += ["--document-bytes", str(DOCUMENT)] if documents else []
        done = subprocess.run([*command, "--tokenizer", file], stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)[0]


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def compare(worker, tiktoken, name, text, file, rounds, as_documents):
    """Speeds of both, a round each in turn; a round is one pass after one that does not count."""
    documents = cut(text) if as_documents else [text]
    size = len(text.encode())
    expected = [tiktoken.encode_ordinary(document) for document in documents]
    digest = 0xCBF29CE484222325
    for ids in expected:
        digest = fnv1a(ids, digest)
    ours, theirs = [], []
    for _ in range(rounds):
        result = worker.bench(file, 1, as_documents)
        ours.append(result["median_mbps"])
        for document in documents[:4]:
            tiktoken.encode_ordinary(document[:DOCUMENT])
        start = time.thread_time()
        for document in documents:
            tiktoken.encode_ordinary(document)
        theirs.append(size / 1e6 / (time.thread_time() - start))
    same = (result["n_documents"] == len(documents) and result["ids_fnv1a"] == f"{digest:016x}")
    return {"text": name, "documents": len(documents), "bytes": size,
            "tokens": sum(map(len, expected)), "same_ids": same, "llorch_mbps": spread(ours),
            "tiktoken_mbps": spread(theirs),
            "ratio": spread([a / b for a, b in zip(ours, theirs)])}


def endure(worker, tiktoken, name, texts, folder, rounds):
    """Milliseconds at 1, 2 and 4 MiB, and whether a sixteenth of it gets tiktoken's ids."""
    times = []
    for index, text in enumerate(texts):
        file = folder / f"hostile-{index}.txt"
        file.write_text(text, encoding="utf-8", newline="")
        times.append(min(worker.bench(file, rounds)["samples_ns"]) / 1e6)
    part = texts[0][:len(texts[0]) // 16]
    file.write_text(part, encoding="utf-8", newline="")
    same = worker.bench(file, 1)["ids_fnv1a"] == f"{fnv1a(tiktoken.encode_ordinary(part)):016x}"
    return {"text": name, "ms": times, "growth": times[2] / times[0], "same_ids": same,
            "mbps": len(texts[0].encode()) / 1e3 / times[0]}


def measure(worker, rounds, folder):
    """Rows of both tables; prints them as they come."""
    tiktoken = tiktoken_encoding(VOCABULARY)
    rows = {"text": [], "hostile": []}
    print("| text | MB | tokens | llorch, MB/s | tiktoken, MB/s | ratio |\n"
          "|---|---:|---:|---:|---:|---:|")
    for name, text in corpora().items():
        file = folder / f"{name}.txt"
        file.write_text(text, encoding="utf-8", newline="")
        for as_documents in (False, True):
            row = compare(worker, tiktoken, name, text, file, rounds, as_documents)
            rows["text"].append(row)
            cells = [name + (", 64 KiB documents" if as_documents else ""),
                     f"{row['bytes'] / 1e6:.2f}", str(row["tokens"])]
            for key, digits in (("llorch_mbps", 1), ("tiktoken_mbps", 1), ("ratio", 2)):
                cells.append("{median:.{0}f} ({min:.{0}f}–{max:.{0}f})".format(digits, **row[key]))
            print("| " + " | ".join(cells) + " |" + ("" if row["same_ids"] else " DIFFERENT IDS"),
                  flush=True)
    print("\n| hostile text | 1 MiB, ms | 2 MiB, ms | 4 MiB, ms | 4 MiB : 1 MiB | MB/s |\n"
          "|---|---:|---:|---:|---:|---:|")
    sizes = [hostile(size << 20) for size in (1, 2, 4)]
    for name in sizes[0]:
        row = endure(worker, tiktoken, name, [texts[name] for texts in sizes], folder, rounds)
        rows["hostile"].append(row)
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in row["ms"])
              + f" | {row['growth']:.2f} | {row['mbps']:.1f} |"
              + ("" if row["same_ids"] else " DIFFERENT IDS"), flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n")[0][7:], epilog=__doc__)
    parser.add_argument("worker")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--core", type=int)
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = measure(Worker(options.worker), options.rounds, folder)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0 if all(row["same_ids"] for part in rows.values() for row in part) else 1


if __name__ == "__main__":
    sys.exit(main())
