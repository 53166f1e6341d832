"""The model card: demo_model_card.md with the numbers of a run."""
# SPDX-License-Identifier: Apache-2.0

import textwrap
from pathlib import Path

from sizes import DROPOUT, END_OF_TEXT, GEOMETRY, LAYER_NORM_EPSILON, RESIDUAL_SCALE
from text import VALIDATION_ONE_IN
from train import (
    DECAYING_PART, MATRIX_RATE, MOMENTUM, OTHER_RATE, PATIENCE, WARMUP_STEPS, WINDOWS_PER_STEP)

SAMPLE_TOKENS = 240
SAMPLE_TEMPERATURE = 0.8
GREEDY_TOKENS = 60


def model_card(record, facts, sample, greedy):
    """The card's template with this run's numbers; its prose is filled anew, tables are not."""
    seen = record["step"] * WINDOWS_PER_STEP * GEOMETRY["n_positions"]
    least = min(record["losses"], key=lambda line: line[2])
    whole = record["step"] == record["steps"] and least[0] == record["steps"]
    stopped = (
        f" These are the weights after {least[0]} of {record['steps']} steps, where the validation"
        " loss was least."
    )
    places = " and ".join(
        f"{seconds / 60:.0f} minutes on {place}" for place, seconds in record["seconds"].items()
    )
    course = (
        f"{record['step']:,} steps of {WINDOWS_PER_STEP} windows of {GEOMETRY['n_positions']}"
        f" tokens, {seen / 1e6:.1f} million tokens in all, {seen / facts['training_tokens']:.1f}"
        f" times the training text; {places}. Muon for the matrices of the blocks (rate"
        f" {MATRIX_RATE:g}, momentum {MOMENTUM:g}), Adam for the rest (rate {OTHER_RATE:g});"
        f" {WARMUP_STEPS} steps of warm-up, a plateau, and a straight line down to nothing over the"
        f" last {DECAYING_PART:.0%} of the steps. Dropout of {DROPOUT:g} behind the embeddings and in"
        " every residual branch, no weight decay; a run ends early where the validation loss has"
        f" not fallen for {PATIENCE} validations. All in float32. The validation text chose the"
        " length of the run and nothing else. After the training, what the residual stream carries was"
        f" multiplied by {RESIDUAL_SCALE:g} (the token and position tables and the projections that"
        " write to the stream; the last layer norm is divided by it), so that its values suit the"
        " absolute tolerances of the checkpoints."
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
