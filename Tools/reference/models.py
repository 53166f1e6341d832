"""Which models there are, what each is asked, and what of the answers is kept.

Everything is kept of the tiny model, from each reference; of larger ones the first layer, the last block and
the logits, from one, because all have been compared before anything is written.

SPDX-License-Identifier: Apache-2.0
"""

from dataclasses import dataclass, field

# GPT-2's ids of "Hello." and of "The quick brown fox jumps over the lazy dog".
GPT2_SHORT = [15496, 13]
GPT2_LONG = [464, 2068, 7586, 21831, 18045, 625, 262, 16931, 3290]


@dataclass(frozen=True)
class Prompt:
    """Text is turned into ids by the model's own tokenizer where it has one; ids stand where it has none."""

    name: str
    text: str
    ids: list = None
    new_tokens: int = 10
    logits: str = "all"  # or "last": rows kept


@dataclass(frozen=True)
class Model:
    prompts: list
    directory: str = None  # relative to the repository; None: must be named
    keep_everything: bool = False
    temperatures: list = field(default_factory=lambda: [0.5, 0.8, 1.0, 2.0])
    # The prompt whose last row becomes probabilities.
    probability_prompt: str = "short"


GPT2_PROMPTS = [
    Prompt("short", "Hello.", GPT2_SHORT),
    Prompt("long", "The quick brown fox jumps over the lazy dog", GPT2_LONG, logits="last"),
]

MODELS = {
    "tiny": Model(
        prompts=[Prompt("short", "Hello."), Prompt("long", "The quick brown fox", new_tokens=20)],
        directory="Tests/CheckpointTests/Fixtures/tiny/model",
        keep_everything=True,
    ),
    "shakespeare": Model(
        prompts=[
            Prompt("short", "Hello.", new_tokens=32),
            Prompt("long", "To be, or not to be, that is the question:", new_tokens=32),
        ],
        directory="models/shakespeare",
    ),
    "base": Model(prompts=GPT2_PROMPTS, temperatures=[0.8]),
    "gpt2": Model(prompts=GPT2_PROMPTS),
    "gpt2-medium": Model(prompts=GPT2_PROMPTS),
}
