"""The model card: demo_model_card.md with the numbers of a run."""
# SPDX-License-Identifier: Apache-2.0

import textwrap
from pathlib import Path

from sizes import END_OF_TEXT, GEOMETRY, LAYER_NORM_EPSILON
from text import VALIDATION_ONE_IN
from train import (
    DECAYING_PART, MATRIX_RATE, MOMENTUM, OTHER_RATE, WARMUP_STEPS, WINDOWS_PER_STEP)

SAMPLE_TOKENS = 240
SAMPLE_TEMPERATURE = 0.8
GREEDY_TOKENS = 60


def model_card(record, facts, sample, greedy):
    """The card's template with this run's numbers; its prose is filled anew, tables are not."""
    seen = record["step"] * WINDOWS_PER_STEP * GEOMETRY["n_positions"]
    whole = record["step"] == record["steps"]
    stopped = f" These are the weights after {record['step']} of {record['steps']} steps."
    course = (
        f"One thread of an {facts['processor']} shared with other work,"
        f" {record['seconds'] / 60:.0f} minutes: {record['step']:,} steps of {WINDOWS_PER_STEP}"
        f" windows of {GEOMETRY['n_positions']} tokens, {seen / 1e6:.2f} million tokens in all,"
        f" {seen / facts['training_tokens']:.1f} times the training text. Muon for the matrices of"
        f" the blocks (rate {MATRIX_RATE:g}, momentum {MOMENTUM:g}), Adam for the rest (rate"
        f" {OTHER_RATE:g}); {WARMUP_STEPS} steps of warm-up, a plateau, and a straight line down to"
        f" nothing over the last {DECAYING_PART:.0%} of the steps. No dropout and no weight decay:"
        f" the text is passed over too few times to be learned by heart. All in float32."
    )
    values = {
        "millions": f"{facts['parameters'] / 1e6:.1f}",
        "stopped": "" if whole else stopped,
        "layers": GEOMETRY["n_layer"],
        "width": GEOMETRY["n_embd"],
        "heads": GEOMETRY["n_head"],
        "head_width": GEOMETRY["n_embd"] // GEOMETRY["n_head"],
        "positions": GEOMETRY["n_positions"],
        "vocabulary": GEOMETRY["vocab_size"],
        "merges": GEOMETRY["vocab_size"] - 257,
        "end_of_text": END_OF_TEXT,
        "parameters": f"{facts['parameters']:,}",
        "epsilon": f"{LAYER_NORM_EPSILON:g}",
        "plays": facts["plays"],
        "training_bytes": f"{facts['training_bytes']:,}",
        "validation_bytes": f"{facts['validation_bytes']:,}",
        "training_tokens": f"{facts['training_tokens']:,}",
        "validation_tokens": f"{facts['validation_tokens']:,}",
        "training_scenes": facts["training_scenes"],
        "validation_scenes": facts["validation_scenes"],
        "one_in": VALIDATION_ONE_IN,
        "steps": record["steps"],
        "course": course,
        "losses": "\n".join(
            f"| {step} | {trained:.3f} | {validated:.3f} |"
            for step, trained, validated in record["losses"]
        ),
        "nats": f"{facts['nats']:.4f}",
        "perplexity": f"{facts['perplexity']:.3f}",
        "bits": f"{facts['bits']:.4f}",
        "exact": f"{facts['exact']:.4f}",
        "temperature": f"{SAMPLE_TEMPERATURE:g}",
        "sample_tokens": SAMPLE_TOKENS,
        "greedy_tokens": GREEDY_TOKENS,
        "sample": sample.rstrip(),
        "greedy": greedy.rstrip(),
        "characters": round(
            facts["training_bytes"] / facts["training_tokens"] * GEOMETRY["n_positions"]
        ),
    }
    template = Path(__file__).with_name("demo_model_card.md").read_text(encoding="utf-8")
    paragraphs = []
    for paragraph in template.rstrip("\n").split("\n\n"):
        text = paragraph.format_map(values)
        if not paragraph.startswith(("#", "|", "```")):
            text = textwrap.fill(" ".join(text.split()), 100, break_on_hyphens=False)
        paragraphs.append(text)
    return "\n\n".join(paragraphs) + "\n"
