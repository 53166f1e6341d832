"""The second reference: GPT-2's forward pass written out over tinygrad, straight from the safetensors file.

It shares no model code with huggingface.py. It can also be wrong on purpose: each fault breaks one thing, and
the checkpoints must tell its arrays from right ones.

SPDX-License-Identifier: Apache-2.0
"""

import json
import math
import os

from tinygrad import Tensor, dtypes
from tinygrad.nn.state import safe_load

from points import Recording

# What each fault breaks, and the points at which the checkpoints look for it.
FAULTS = {
    "epsilon1e-3": ("layer norms use epsilon 1e-3", ["attentionNorm"]),
    "epsilon1e-6": ("layer norms use epsilon 1e-6", ["attentionNorm"]),
    "sampleVariance": ("layer norms divide by N-1", ["attentionNorm"]),
    "normSwapped": ("layer norms' scale and shift swapped", ["attentionNorm"]),
    "scaleByHeadSize": ("scores divided by D in place of its root", ["attentionScores"]),
    "noMask": ("no causal mask", ["attentionScores", "attentionOutput"]),
    "maskOffByOne": ("each row sees one position too many", ["attentionScores", "attentionOutput"]),
    "headsMergedInWrongOrder": ("heads joined without transposing back", ["attentionOutput"]),
    "erfGelu": ("erf gelu in place of the tanh form", ["feedForwardOutput"]),
    "feedForwardFedWithAttention": ("feed-forward reads the attention output", ["feedForwardOutput"]),
    "postNorm": ("norms after the residual sums", ["blockOutput"]),
    "noAttentionResidual": ("attention's residual missing", ["blockOutput"]),
    "noFeedForwardResidual": ("feed-forward's residual missing", ["blockOutput"]),
    "blockSkipped": ("the last block skipped", ["logits"]),
    "headUntied": ("logits from the token table read backwards", ["logits"]),
}


class TinygradGPT2:
    name = "tinygrad"

    def __init__(self, directory):
        with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
            self.config = json.load(file)
        for key, expected in {
            "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
            "reorder_and_upcast_attn": False,
        }.items():
            if self.config.get(key, expected) != expected:
                raise SystemExit(f"config.json: {key} is {self.config[key]}; this reference knows only {expected}")
        stored = safe_load(os.path.join(directory, "model.safetensors"))
        self.tensors = {
            name.removeprefix("transformer."): tensor.to("CPU").cast(dtypes.float32).realize()
            for name, tensor in stored.items()
        }

    def observe(self, ids, faults=frozenset(), layers=None):
        """One forward pass over all ids; every point of every layer, or of the first layers alone."""
        recording = Recording()
        self._forward(ids, lambda point, layer, x: recording.record(point, layer, x.numpy()), faults, layers)
        return recording

    def continue_greedily(self, ids, count):
        """Without a cache: each step computes all rows again, padded on the right to one length.

        Causal rows do not see the padding, and one length is compiled once.
        """
        known, margins = list(ids), []
        length = len(ids) + count
        while len(known) < length:
            rows = self._forward(known + [0] * (length - len(known)), lambda *_: None, frozenset())
            row = rows[len(known) - 1].numpy()
            order = row.argsort(kind="stable")
            margins.append(float(row[order[-1]] - row[order[-2]]))
            known.append(int(row.argmax()))
            if known[-1] == self.config.get("eos_token_id"):
                break
        return known[len(ids) :], margins

    @staticmethod
    def probabilities(logits, temperature):
        # In f64: dividing f32 logits first loses more than the tolerance.
        return (Tensor(logits, dtype=dtypes.float64) / temperature).softmax(axis=-1).numpy().astype("float32")

    def _forward(self, ids, observe, faults, only=None):
        layers, heads = self.config["n_layer"], self.config["n_head"]
        token_table = self.tensors["wte.weight"]
        x = (token_table[Tensor(ids)] + self.tensors["wpe.weight"][: len(ids)]).realize()
        observe("embedding", None, x)
        for layer in range(layers):
            if "blockSkipped" in faults and layer == layers - 1:
                continue
            if layer == only:
                return None
            x = self._block(layer, heads, x, observe, faults)
        x = self._norm("ln_f", x, faults).realize()
        observe("finalNorm", None, x)
        head = self.tensors.get("lm_head.weight", token_table)
        if "headUntied" in faults:
            head = head.flip(0)
        logits = (x @ head.transpose()).realize()
        observe("logits", None, logits)
        return logits

    def _block(self, layer, heads, x, observe, faults):
        name = f"h.{layer}."
        rows, width = x.shape
        size = width // heads
        post_norm = "postNorm" in faults

        normed = x if post_norm else self._norm(name + "ln_1", x, faults).realize()
        observe("attentionNorm", layer, normed)
        projected = self._linear(name + "attn.c_attn", normed).realize()
        parts = [projected[:, part * width : (part + 1) * width].contiguous() for part in range(3)]
        for point, part in zip(("query", "key", "value"), parts):
            observe(point, layer, part)
        query, key, value = (part.reshape(rows, heads, size).transpose(0, 1) for part in parts)

        scores = query @ key.transpose(1, 2) / (size if "scaleByHeadSize" in faults else math.sqrt(size))
        if "noMask" not in faults:
            visible = Tensor.ones(rows, rows).tril(1 if "maskOffByOne" in faults else 0)
            scores = (visible == 0).where(-math.inf, scores)
        scores = scores.realize()
        observe("attentionScores", layer, scores)
        merged = scores.softmax(axis=-1) @ value
        if "headsMergedInWrongOrder" not in faults:
            merged = merged.transpose(0, 1)
        attention = self._linear(name + "attn.c_proj", merged.contiguous().reshape(rows, width)).realize()
        observe("attentionOutput", layer, attention)

        middle = attention if "noAttentionResidual" in faults else x + attention
        if post_norm:
            middle = self._norm(name + "ln_1", middle, faults)
        middle = middle.realize()
        normed = middle if post_norm else self._norm(name + "ln_2", middle, faults).realize()
        observe("feedForwardNorm", layer, normed)
        source = attention if "feedForwardFedWithAttention" in faults else normed
        hidden = self._gelu(self._linear(name + "mlp.c_fc", source), faults).realize()
        forwarded = self._linear(name + "mlp.c_proj", hidden).realize()
        observe("feedForwardOutput", layer, forwarded)
        output = forwarded if "noFeedForwardResidual" in faults else middle + forwarded
        if post_norm:
            output = self._norm(name + "ln_2", output, faults)
        output = output.realize()
        observe("blockOutput", layer, output)
        return output

    def _norm(self, name, x, faults):
        epsilon = self.config.get("layer_norm_epsilon", 1e-5)
        for fault, value in {"epsilon1e-3": 1e-3, "epsilon1e-6": 1e-6}.items():
            epsilon = value if fault in faults else epsilon
        scale, shift = self.tensors[name + ".weight"], self.tensors[name + ".bias"]
        if "normSwapped" in faults:
            scale, shift = shift, scale
        centred = x - x.mean(axis=-1, keepdim=True)
        count = x.shape[-1] - (1 if "sampleVariance" in faults else 0)
        variance = (centred * centred).sum(axis=-1, keepdim=True) / count
        return centred / (variance + epsilon).sqrt() * scale + shift

    def _linear(self, name, x):
        # Conv1D stores [in, out]: no transpose.
        return x @ self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def _gelu(self, x, faults):
        form = self.config.get("activation_function", "gelu_new")
        if form not in ("gelu_new", "gelu"):
            raise SystemExit(f"config.json: activation_function is {form}; this reference knows gelu_new and gelu")
        if form == "gelu" or "erfGelu" in faults:
            return 0.5 * x * (1 + (x / math.sqrt(2)).erf())
        return 0.5 * x * (1 + (math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)).tanh())
