"""CTranslate2's Generator. Its steps are timed through the callback of each token, which it chooses."""
# SPDX-License-Identifier: Apache-2.0

import json
import time

from bench.peers.common import made_whole, prompt


class Engine:
    def __init__(self, root, model, variant):
        import ctranslate2

        self.library = ctranslate2
        self.precision = {"f32": "float32", "int8": "int8"}[variant]
        self.directory = root / "models" / model
        # int8 is made of this at load.
        self.path = root / "ct2" / f"{model}-f32"

    def prepare(self):
        if (self.path / "model.bin").exists():
            return
        with made_whole(self.path) as path:
            self.library.converters.TransformersConverter(str(self.directory)).convert(str(path))

    def load(self):
        self.generator = self.library.Generator(
            str(self.path), device="cpu", compute_type=self.precision, inter_threads=1,
            intra_threads=1)

    def prefill(self, count):
        times = self.generate(count, 1)
        return times[1] - times[0]

    def decode(self, depth, count):
        times = self.generate(depth, count + 1)
        return times[-1] - times[1]

    def generate(self, length, count):
        """When it began, and when each token was there."""
        if not hasattr(self, "tokens"):
            text = (self.directory / "vocab.json").read_text(encoding="utf-8")
            ids = json.loads(text)
            self.tokens = sorted(ids, key=ids.get)
        times = []
        start = [self.tokens[token] for token in prompt(length)]
        begun = time.perf_counter()
        self.generator.generate_batch(
            [start], max_length=count, min_length=count, beam_size=1, sampling_topk=1,
            include_prompt_in_result=False,
            callback=lambda step: times.append(time.perf_counter()) or False)
        if len(times) != count:
            raise RuntimeError(f"{len(times)} tokens instead of {count}")
        return [begun, *times]
