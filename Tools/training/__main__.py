"""Trains the demo model, a small GPT-2 on Shakespeare's dialogue, into a Hugging Face directory.

This folder is the whole recipe (text, tokenizer, network, training, export, model card) and it is a recipe for this
one model, not a training library. The network is written out, so that training needs torch but
not transformers; its parameters carry the names that transformers gives them.

Everything is seeded. A run that is interrupted continues from its last checkpoint, and every step
draws its windows from its own number, so a continued run sees what an uninterrupted one would have
seen.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import platform
from pathlib import Path

from arguments import parse
from export import export
from network import make_network
from sizes import END_OF_TEXT
from text import corpus, plays
from tokenizer import make_tokenizer
from train import train


def processor_name():
    """The processor's name for the card; where the system does not tell, its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def main():
    arguments = parse()
    arguments.work.mkdir(parents=True, exist_ok=True)
    training_text, validation_text = corpus()
    if arguments.text:
        (arguments.work / "training.txt").write_text(training_text)
        (arguments.work / "validation.txt").write_text(validation_text)
        return

    # Not above: --text needs no torch.
    import torch

    torch.set_num_threads(arguments.threads)
    tokenizer, vocabulary, merges = make_tokenizer(training_text)
    training = torch.tensor(tokenizer.encode(training_text).ids)
    validation = torch.tensor(tokenizer.encode(validation_text).ids)
    facts = {
        "plays": sum(1 for _ in plays()),
        "processor": processor_name(),
        "training_tokens": len(training),
        "training_bytes": len(training_text.replace(END_OF_TEXT, "").encode()),
        "training_scenes": training_text.count(END_OF_TEXT),
        "validation_scenes": validation_text.count(END_OF_TEXT),
    }
    print(json.dumps(facts), f"validation tokens {len(validation)}", flush=True)
    network = make_network(torch)
    checkpoint = arguments.work / "checkpoint.pt"
    record = train(torch, network, training, validation, checkpoint, arguments)
    export(
        torch, network, tokenizer, vocabulary, merges, validation_text, record, facts, arguments.out
    )


if __name__ == "__main__":
    main()
