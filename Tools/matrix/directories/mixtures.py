"""Random mixtures of what the cases do, and of random added tokens and texts: directories that nobody thought of."""
# SPDX-License-Identifier: Apache-2.0

import random

from .cases import CASES, Case
from .directory import MARK, added, vocabulary

PARTS = ["<", ">", "a", "|", "in", " the", "日", "é", " ", "<|", "|>", "x", "\n", "Ġ", MARK]
WORDS = PARTS + ["'s", "  ", "\t", "\u3000", "\u2028", "42", "!", "😀", "\u0000", "ll", "hello"]


def text(choice, words, most):
    return "".join(choice.choices(words, k=choice.randint(1, most)))


def tokens(choice, size):
    """Random added tokens from `size` on, in the order of their ids."""
    contents = {text(choice, PARTS, 3) for _ in range(choice.randint(1, 5))} - {MARK, "Ġ", *vocabulary()}
    return [added(content, size + place, special=choice.random() < 0.5, normalized=choice.random() < 0.5,
                  lstrip=choice.random() < 0.3, rstrip=choice.random() < 0.3)
            for place, content in enumerate(sorted(contents))]


def mixture(seed):
    """A case that makes up to three changes of the listed ones, and perhaps adds tokens."""
    choice = random.Random(seed)
    chosen = choice.sample([c for c in CASES if not (c.twin or c.unlike_4 or c.rewritten)], choice.randint(0, 3))
    # Most mixtures are of changes that are supported: one that is refused says nothing about the others.
    if choice.random() < 0.8:
        chosen = [c for c in chosen if not c.refused]

    def change(directory):
        if choice.random() < 0.7:
            size = len(directory.vocab)
            new = tokens(choice, size)
            directory.resize(size + len(new))
            mark = [added(MARK, directory.vocab[MARK])]
            place = choice.choice(["tokenizer.json", "decoder", "added_tokens.json"])
            if place == "tokenizer.json":
                directory.combined(tokens=mark + new)
            elif place == "decoder":
                directory.files["tokenizer_config.json"] = {"added_tokens_decoder": {
                    str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in mark + new}}
            else:
                directory.files["added_tokens.json"] = {t["content"]: t["id"] for t in new}
            contents = [t["content"] for t in new]
            directory.texts += [text(choice, WORDS + 3 * contents, 30) for _ in range(3)]
        for part in chosen:
            try:
                part.change(directory)
            except (KeyError, ValueError, IndexError):
                # A change of what another change took away.
                pass
        directory.texts += [text(choice, WORDS, 30)]

    return Case(f"mixture {seed}: " + " + ".join(c.name for c in chosen), change)
