"""Random mixtures of what the cases do, and of random added tokens and texts: directories that nobody thought of."""
# SPDX-License-Identifier: Apache-2.0

import json
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


def damage(choice, directory):
    """Changes some bytes of one of the text files."""
    name = choice.choice(["config.json", *sorted(n for n, c in directory.files.items() if c)])
    content = directory.files.get(name, directory.config)
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content, ensure_ascii=False)
    data = bytearray(content.encode() if isinstance(content, str) else content)
    for _ in range(choice.randint(1, 3)):
        place = choice.randrange(len(data) or 1)
        match choice.randrange(4):
            case 0: data[place:place + 1] = bytes([choice.randrange(256)])
            case 1: data[place:place + choice.randint(1, 9)] = b""
            case 2: data[place:place] = data[place:place + choice.randint(1, 20)]
            case 3: data[place:place] = choice.choice([b"null", b"-1", b"1e9", b'"', b"{", b"]", b"true", b"\\u0000"])
    directory.files[name] = bytes(data)


def mixture(seed):
    """A case that makes up to three changes of the listed ones, and perhaps adds tokens or damages a file."""
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
        if choice.random() < 0.15:
            damage(choice, directory)

    return Case(f"mixture {seed}: " + " + ".join(c.name for c in chosen), change)
