"""The third reference: GPT-2's forward pass written out over candle, a tensor library in Rust with its own kernels.

It shares no model code with huggingface.py and tinygrad_gpt2.py, and uses none of candle's own layers: only
its tensors and their operations. It knows no faults; those are tinygrad_gpt2.py's business.

SPDX-License-Identifier: Apache-2.0
"""

import json
import math
from pathlib import Path

import candle
import candle.functional
import candle.utils
import numpy as np

from points import Recording

# Members of config.json that change the computation, and the only value that is computed here.
REQUIRED = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "reorder_and_upcast_attn": False,
}


class CandleGPT2:
    name = "candle"

    def __init__(self, directory):
        self.config = json.loads((Path(directory) / "config.json").read_text(encoding="utf-8"))
        for member, value in REQUIRED.items():
            if self.config.get(member, value) != value:
                raise SystemExit(
                    f"config.json: {member} is {self.config[member]}; candle_gpt2.py knows only {value}"
                )
        self.activation = self.config.get("activation_function", "gelu_new")
        if self.activation not in ("gelu_new", "gelu"):
            raise SystemExit(
                f"config.json: activation_function is {self.activation}; "
                "candle_gpt2.py knows gelu_new and gelu"
            )
        stored = candle.utils.load_safetensors(str(Path(directory) / "model.safetensors"))
        self.tensors = {
            name.removeprefix("transformer."): tensor.to_dtype(candle.f32) for name, tensor in stored.items()
        }

    def observe(self, ids):
        """One forward pass over all ids; every point of every layer."""
        recording = Recording()
        self._forward(ids, lambda point, layer, tensor: recording.record(point, layer, array(tensor)))
        return recording

    def continue_greedily(self, ids, count):
        """(ids, distances between the best two logits): each step computes all rows again, without a cache."""
        known, margins = list(ids), []
        while len(known) < len(ids) + count:
            logits = self._forward(known, lambda *_: None)
            row = array(logits.narrow(0, len(known) - 1, 1))[0]
            second, first = np.partition(row, -2)[-2:]
            margins.append(float(first - second))
            known.append(int(row.argmax()))
            if known[-1] == self.config.get("eos_token_id"):
                break
        return known[len(ids) :], margins

    @staticmethod
    def probabilities(logits, temperature):
        """In f64, so that what is stored is right to the last bit of f32."""
        row = candle.Tensor(logits.tolist()).to_dtype(candle.f64) / temperature
        return array(candle.functional.softmax(row, 0))

    def _forward(self, ids, observe):
        """Logits of all rows, (rows, vocabulary)."""
        token_table = self.tensors["wte.weight"]
        x = token_table.index_select(candle.Tensor(ids), 0) + self.tensors["wpe.weight"].narrow(0, 0, len(ids))
        observe("embedding", None, x)
        for layer in range(self.config["n_layer"]):
            x = self._block(layer, x, observe)
        x = self._norm("ln_f", x)
        observe("finalNorm", None, x)
        logits = x.matmul(self.tensors.get("lm_head.weight", token_table).t())
        observe("logits", None, logits)
        return logits

    def _block(self, layer, x, observe):
        name = f"h.{layer}"
        normed = self._norm(f"{name}.ln_1", x)
        observe("attentionNorm", layer, normed)
        attention = self._attention(layer, normed, observe)
        observe("attentionOutput", layer, attention)
        x = x + attention
        normed = self._norm(f"{name}.ln_2", x)
        observe("feedForwardNorm", layer, normed)
        hidden = self._gelu(self._linear(f"{name}.mlp.c_fc", normed))
        forwarded = self._linear(f"{name}.mlp.c_proj", hidden)
        observe("feedForwardOutput", layer, forwarded)
        x = x + forwarded
        observe("blockOutput", layer, x)
        return x

    def _attention(self, layer, x, observe):
        (rows, width), heads = x.shape, self.config["n_head"]
        size = width // heads
        projected = self._linear(f"h.{layer}.attn.c_attn", x)
        split = []
        for index, point in enumerate(("query", "key", "value")):
            part = projected.narrow(1, index * width, width).contiguous()
            observe(point, layer, part)
            # (rows, width) becomes (heads, rows, size).
            split.append(part.reshape((rows, heads, size)).transpose(0, 1).contiguous())
        query, key, value = split
        scores = query.matmul(key.transpose(1, 2).contiguous()) / math.sqrt(size)
        # Added: 0 where a row sees a position, minus infinity at the positions after the row's own.
        mask = [[0.0 if position <= row else -math.inf for position in range(rows)] for row in range(rows)]
        scores = scores.broadcast_add(candle.Tensor(mask))
        observe("attentionScores", layer, scores)
        mixed = candle.functional.softmax(scores, 2).matmul(value)
        joined = mixed.transpose(0, 1).contiguous().reshape((rows, width))
        return self._linear(f"h.{layer}.attn.c_proj", joined)

    def _norm(self, name, x):
        width = x.shape[-1]
        centred = x.broadcast_sub(x.sum_keepdim(1) / width)
        variance = centred.sqr().sum_keepdim(1) / width
        deviation = (variance + self.config.get("layer_norm_epsilon", 1e-5)).sqrt()
        scale, shift = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        return centred.broadcast_div(deviation).broadcast_mul(scale).broadcast_add(shift)

    def _linear(self, name, x):
        # GPT-2's files hold the weight as (in, out), so nothing is transposed.
        return x.matmul(self.tensors[f"{name}.weight"]).broadcast_add(self.tensors[f"{name}.bias"])

    def _gelu(self, x):
        if self.activation == "gelu":
            # candle's gelu is the form with erf, gelu_new the form with tanh.
            return candle.functional.gelu(x)
        inner = (x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)
        return x * 0.5 * (candle.functional.tanh(inner) + 1.0)


def array(tensor):
    """A numpy array of f32 with the tensor's values and shape."""
    return np.array(tensor.values(), dtype=np.float32)
