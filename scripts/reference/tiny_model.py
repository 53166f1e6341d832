"""Makes the checkpoints' tiny model: GPT-2's architecture, seeded random weights, a tokenizer of 512 entries.

The weights are wider than a fresh model's, so that attention prefers some positions, gelu leaves its linear
part, and a fault of a few per cent is seen. Run once; its output is committed.

usage: scripts/reference/tiny_model.py DIRECTORY

SPDX-License-Identifier: Apache-2.0
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import ByteLevelBPETokenizer

HIDDEN, LAYERS, HEADS, VOCABULARY, CONTEXT = 64, 2, 4, 512, 64
# What the merges are learnt from; any English will do.
TEXT = """
Hello. Hello there, good morrow to you. The quick brown fox jumps over the lazy dog, and the lazy dog sleeps on
in the shade of the old oak tree while the wind turns the leaves. When shall we meet again, in thunder, in
lightning, or in rain? To be, or not to be, that is the question: whether it is nobler in the mind to suffer the
slings and arrows of outrageous fortune, or to take arms against a sea of troubles, and by opposing end them. Now
is the winter of our discontent made glorious summer by this sun of York. All the world is a stage, and all the
men and women merely players; they have their exits and their entrances, and one man in his time plays many parts.
"""


def weights(random):
    def normal(*shape, deviation, mean=0.0):
        return (mean + deviation * random.standard_normal(shape)).astype(np.float32)

    def norm(name):
        return {
            f"{name}.weight": normal(HIDDEN, deviation=0.2, mean=1.0),
            f"{name}.bias": normal(HIDDEN, deviation=0.1),
        }

    def linear(name, rows, columns):
        return {
            f"{name}.weight": normal(rows, columns, deviation=1.5 / rows**0.5),
            f"{name}.bias": normal(columns, deviation=0.2),
        }

    tensors = {
        "wte.weight": normal(VOCABULARY, HIDDEN, deviation=0.14),
        "wpe.weight": normal(CONTEXT, HIDDEN, deviation=0.1),
    }
    for layer in range(LAYERS):
        name = f"h.{layer}."
        tensors |= norm(name + "ln_1") | linear(name + "attn.c_attn", HIDDEN, 3 * HIDDEN)
        tensors |= linear(name + "attn.c_proj", HIDDEN, HIDDEN) | norm(name + "ln_2")
        tensors |= linear(name + "mlp.c_fc", HIDDEN, 4 * HIDDEN) | linear(name + "mlp.c_proj", 4 * HIDDEN, HIDDEN)
    return tensors | norm("ln_f")


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__.split("\n\nSPDX")[0])
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)

    tokenizer = ByteLevelBPETokenizer()
    # Merges first, so that the end of text has the last id, as in GPT-2's own vocabulary.
    tokenizer.train_from_iterator([TEXT], vocab_size=VOCABULARY - 1, min_frequency=1, show_progress=False)
    vocabulary = dict(sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1]))
    assert len(vocabulary) == VOCABULARY - 1, len(vocabulary)
    vocabulary["<|endoftext|>"] = VOCABULARY - 1
    tokenizer.save_model(str(directory))
    (directory / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=True) + "\n", encoding="utf-8")

    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "bos_token_id": VOCABULARY - 1,
        "eos_token_id": VOCABULARY - 1,
        "layer_norm_epsilon": 1e-05,
        "n_embd": HIDDEN,
        "n_head": HEADS,
        "n_layer": LAYERS,
        "n_positions": CONTEXT,
        "n_ctx": CONTEXT,
        "vocab_size": VOCABULARY,
        "torch_dtype": "float32",
    }
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tensors = weights(np.random.Generator(np.random.PCG64(42)))
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
