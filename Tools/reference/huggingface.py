"""The first reference: Hugging Face's GPT2LMHeadModel as it is, watched through forward hooks.

Nothing of the model is rewritten here; tinygrad_gpt2.py is the rewriting.

SPDX-License-Identifier: Apache-2.0
"""

import torch
from torch.overrides import TorchFunctionMode
from transformers import GPT2LMHeadModel

from points import Recording


class SoftmaxInputs(TorchFunctionMode):
    """Keeps what goes into softmax: eager attention gives its scores nowhere else, only its weights.

    Masked scores arrive as the lowest finite float and are kept as minus infinity.
    """

    def __init__(self):
        super().__init__()
        self.inputs = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.nn.functional.softmax:
            scores = args[0].detach()
            self.inputs.append(scores.masked_fill(scores < -1e30, float("-inf")).clone())
        return function(*args, **(kwargs or {}))


class HuggingFace:
    name = "huggingface"

    def __init__(self, directory):
        torch.manual_seed(0)
        self.model = GPT2LMHeadModel.from_pretrained(
            directory, dtype=torch.float32, attn_implementation="eager", local_files_only=True
        ).eval()

    @torch.no_grad()
    def observe(self, ids):
        """One forward pass over all ids; every point of every layer."""
        recording, hooks = Recording(), []
        transformer = self.model.transformer

        def on_output(module, take):
            hooks.append(module.register_forward_hook(lambda _, __, output: take(output)))

        def record(point, layer):
            # Modules give the tensor, or a tuple that begins with it; axis 0 is the batch of one.
            def take(output):
                tensor = output[0] if isinstance(output, tuple) else output
                recording.record(point, layer, tensor[0].numpy())

            return take

        def record_projections(layer):
            def take(output):
                for point, part in zip(("query", "key", "value"), output[0].chunk(3, dim=-1)):
                    recording.record(point, layer, part.numpy())

            return take

        hooks.append(
            transformer.h[0].register_forward_pre_hook(
                lambda _, inputs: recording.record("embedding", None, inputs[0][0].numpy())
            )
        )
        for layer, block in enumerate(transformer.h):
            on_output(block.ln_1, record("attentionNorm", layer))
            on_output(block.attn.c_attn, record_projections(layer))
            on_output(block.attn, record("attentionOutput", layer))
            on_output(block.ln_2, record("feedForwardNorm", layer))
            on_output(block.mlp, record("feedForwardOutput", layer))
            on_output(block, record("blockOutput", layer))
        on_output(transformer.ln_f, record("finalNorm", None))
        on_output(self.model.lm_head, record("logits", None))
        try:
            with SoftmaxInputs() as softmax:
                self.model(torch.tensor([ids]), use_cache=False)
        finally:
            for hook in hooks:
                hook.remove()
        assert len(softmax.inputs) == len(transformer.h), "eager attention did not go through softmax"
        for layer, scores in enumerate(softmax.inputs):
            recording.record("attentionScores", layer, scores[0].numpy())
        return recording

    @torch.no_grad()
    def continue_greedily(self, ids, count):
        """(ids, distances between the best two logits): token by token over its own cache."""
        cache, step, chosen, margins = None, list(ids), [], []
        while len(chosen) < count:
            output = self.model(torch.tensor([step]), past_key_values=cache, use_cache=True)
            cache, best = output.past_key_values, output.logits[0, -1].topk(2)
            margins.append(float(best.values[0] - best.values[1]))
            chosen.append(int(best.indices[0]))
            step = chosen[-1:]
            if step[0] == self.model.config.eos_token_id:
                break
        return chosen, margins

    @staticmethod
    def probabilities(logits, temperature):
        """In f64, so that what is stored is right to the last bit of f32."""
        return torch.softmax(torch.from_numpy(logits).double() / temperature, dim=-1).float().numpy()
