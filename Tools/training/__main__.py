"""Trains the demo model, a small GPT-2 on Shakespeare's dialogue, into a Hugging Face directory.

This folder is the whole recipe (text, tokenizer, network, training, export, model card) and it is a recipe for this
one model, not a training library. The network is written out, so that training needs torch but
not transformers; its parameters carry the names that transformers gives them.

Everything is seeded. A run that is interrupted continues from its last checkpoint, and every step
draws its windows and its dropout from its own number, so a continued run sees what an uninterrupted
one would have seen. The weights with the least validation loss are exported, and a run whose
validation loss rises ends early.
"""
# SPDX-License-Identifier: Apache-2.0

import json

from arguments import parse
from export import export
from network import make_network
from sizes import END_OF_TEXT
from text import corpus, plays
from tokenizer import make_tokenizer
from train import train


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
    validation = torch.tensor(tokenizer.encode(validation_text).ids).to(arguments.device)
    facts = {
        "plays": sum(1 for _ in plays()),
        "training_tokens": len(training),
        "training_bytes": len(training_text.replace(END_OF_TEXT, "").encode()),
        "training_scenes": training_text.count(END_OF_TEXT),
        "validation_scenes": validation_text.count(END_OF_TEXT),
    }
    print(json.dumps(facts), f"validation tokens {len(validation)}", flush=True)
    network = make_network(torch).to(arguments.device)
    checkpoint = arguments.work / "checkpoint.pt"
    record = train(torch, network, training, validation, checkpoint, arguments)
    export(
        torch, network.to("cpu"), tokenizer, vocabulary, merges, validation_text, record, facts,
        arguments.out,
    )


if __name__ == "__main__":
    main()
