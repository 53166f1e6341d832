"""Writes the reference arrays of one model under Tests/CheckpointTests/Fixtures/MODEL.

Three independent references compute everything; unless each two agree within the checkpoints' tolerances, nothing
is written. manifest.json tells what was compared, with which versions, over which files.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import hashlib
import io
import json
import os
import platform
import shutil
import sys
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = ["candle_gpt2.py", "export.py", "huggingface.py", "models.py", "points.py", "tinygrad_gpt2.py"]
PACKAGES = ["torch", "transformers", "tokenizers", "safetensors", "tinygrad", "candle-nn", "numpy"]
# The folders of a model's arrays; all but the last are named after the reference that computes them.
FOLDERS = ["huggingface", "tinygrad", "candle", "faults"]
LAYER_POINTS = [
    "attentionNorm", "query", "key", "value", "attentionScores", "attentionOutput",
    "feedForwardNorm", "feedForwardOutput", "blockOutput",
]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(prog="scripts/export-reference", description=__doc__.split("\n\nSPDX")[0])
    parser.add_argument("model", help="tiny, shakespeare, base, gpt2 or gpt2-medium")
    parser.add_argument("--directory", type=Path, help="the model's directory, where the repository holds none")
    parser.add_argument("--output", type=Path, help="where to write (default: the fixtures of the checkpoints)")
    parser.add_argument(
        "--only", choices=FOLDERS, metavar="FOLDER",
        help=f"write the arrays of one folder alone ({', '.join(FOLDERS)}); the others stay byte for byte",
    )  # fmt: skip
    options = parser.parse_args()

    # After the options, so that --help needs no packages.
    from models import MODELS

    if options.model not in MODELS:
        parser.error(f"unknown model {options.model}; known: {', '.join(MODELS)}")
    model = MODELS[options.model]
    directory = options.directory or (REPOSITORY / model.directory if model.directory else None)
    if directory is None:
        parser.error(f"{options.model} is not in the repository: name its directory with --directory")
    if not (directory / "model.safetensors").is_file():
        parser.error(f"{directory} holds no model.safetensors")
    output = options.output or REPOSITORY / "Tests/CheckpointTests/Fixtures" / options.model
    Export(options.model, model, directory, output, options.only).run()


class Export:
    def __init__(self, name, model, directory, output, only=None):
        from candle_gpt2 import CandleGPT2
        from huggingface import HuggingFace
        from tinygrad_gpt2 import TinygradGPT2

        self.name, self.model, self.directory, self.output = name, model, directory, output
        self.only = only
        # The one that can be wrong on purpose.
        self.faulty = TinygradGPT2(directory)
        # The first is kept of every model.
        self.references = [HuggingFace(directory), self.faulty, CandleGPT2(directory)]
        self.tokenizer = load_tokenizer(directory)
        self.files = {}  # relative path -> bytes; written only when all agreed
        self.arrays, self.agreement, self.disagreements = [], [], []

    def run(self):
        prompts = [self.prompt(prompt) for prompt in self.model.prompts]
        faults = self.faults(self.model.prompts[-1], prompts[-1]["ids"])
        if self.disagreements:
            sys.exit("the references disagree; nothing written\n" + "\n".join(self.disagreements))
        manifest = {
            "model": self.name,
            "generator": {
                "script": "scripts/export-reference",
                "sha256": {name: digest((Path(__file__).parent / name).read_bytes()) for name in SOURCES},
                "python": platform.python_version(),
                "machine": platform.machine(),
                "packages": {name: version(name) for name in PACKAGES},
            },
            "modelFiles": {
                name: digest((self.directory / name).read_bytes())
                for name in ("config.json", "model.safetensors", "tokenizer.json", "vocab.json", "merges.txt")
                if (self.directory / name).is_file()
            },
            "temperatures": self.model.temperatures,
            "prompts": prompts,
            "agreement": self.agreement,
            "faults": faults,
            "arrays": self.arrays,
        }
        if self.only:
            self.keep_what_is_there(manifest)
        for folder in [self.only] if self.only else FOLDERS:
            shutil.rmtree(self.output / folder, ignore_errors=True)
        for path, content in self.files.items():
            (self.output / path).parent.mkdir(parents=True, exist_ok=True)
            (self.output / path).write_bytes(content)
        (self.output / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        size = sum(map(len, self.files.values()))
        print(f"{self.name}: {len(self.files)} arrays, {size / 1024:.0f} KiB, under {self.output}")

    def keep_what_is_there(self, manifest):
        """Leaves in `manifest` and `self.files` only what changes in the folder `self.only`.

        Another processor gives other last digits, so that the arrays of the other folders would change as well.
        """
        if not (self.output / "manifest.json").is_file():
            sys.exit(f"{self.output} holds no manifest.json: run this without --only")
        there = json.loads((self.output / "manifest.json").read_text(encoding="utf-8"))
        if there["modelFiles"] != manifest["modelFiles"]:
            sys.exit("the model's files are not those of the arrays that are there: run this without --only")
        for new, old in zip(manifest["prompts"], there["prompts"], strict=True):
            if any(new[member] != old[member] for member in ("name", "text", "ids")) or (
                new["continuation"]["ids"] != old["continuation"]["ids"]
            ):
                sys.exit(f"prompt {new['name']} or its answer has changed: run this without --only")
        entries = {entry["file"]: entry for entry in there["arrays"]}
        self.files = {path: content for path, content in self.files.items() if path.startswith(f"{self.only}/")}
        if not self.files:
            sys.exit(f"of {self.name}, no arrays are kept under {self.only}; nothing written")
        arrays = [entry if entry["file"] in self.files else entries.get(entry["file"]) for entry in self.arrays]
        manifest["arrays"] = [entry for entry in arrays if entry]
        manifest["prompts"] = there["prompts"]
        if self.only != "faults":
            manifest["faults"] = there["faults"]

    def prompt(self, prompt):
        """Observes one prompt, compares the references, keeps what the model keeps."""
        ids = self.tokenizer.encode(prompt.text).ids if self.tokenizer else prompt.ids
        if prompt.ids is not None and ids != prompt.ids:
            sys.exit(f"{prompt.text!r} became {ids}, not {prompt.ids}: is this GPT-2's tokenizer?")
        recordings = [reference.observe(ids) for reference in self.references]
        for reference, recording in zip(self.references, recordings):
            if unequal := recording.keys() ^ recordings[0].keys():
                sys.exit(f"{reference.name} observes other points than {self.references[0].name}: {unequal}")
        for point, layer in recordings[0]:
            self.compare(prompt.name, point, layer, [recording[point, layer] for recording in recordings])
        last_layer = max(layer for _, layer in recordings[0] if layer is not None)
        for reference, recording in zip(self.kept, recordings):
            for (point, layer), array in recording.items():
                if self.model.keep_everything or self.keeps(point, layer, last_layer):
                    first = len(ids) - 1 if point == "logits" and prompt.logits == "last" else 0
                    self.keep(reference.name, prompt.name, point, layer, array[first:], first)
        if prompt.name == self.model.probability_prompt:
            self.probabilities(prompt.name, [recording["logits", None][-1] for recording in recordings])
        return {
            "name": prompt.name,
            "text": prompt.text if self.tokenizer else None,
            "ids": ids,
            "continuation": self.continuation(prompt, ids),
        }

    @property
    def kept(self):
        """The references whose arrays are written."""
        return self.references if self.model.keep_everything else self.references[:1]

    def keeps(self, point, layer, last_layer):
        return layer in (None, 0) or (point == "blockOutput" and layer == last_layer)

    def probabilities(self, prompt, logits):
        import numpy as np

        def rows(reference, row):
            return np.stack([reference.probabilities(row, temperature) for temperature in self.model.temperatures])

        # Compared over the same logits, so that only softmax is judged; kept over the reference's own.
        self.compare(prompt, "probabilities", None, [rows(reference, logits[0]) for reference in self.references])
        for reference, row in zip(self.kept, logits):
            self.keep(reference.name, prompt, "probabilities", None, rows(reference, row), 0)

    def continuation(self, prompt, ids):
        """Greedy ids, up to the first step at which two logits lie closer than the tolerance can tell apart."""
        from points import TOLERANCES

        answers = [reference.continue_greedily(ids, prompt.new_tokens) for reference in self.references]
        chosen, margins = answers[0]
        clear = next(
            (step for step, margin in enumerate(margins) if margin < 2 * TOLERANCES["logits"]), len(chosen)
        )
        for reference, (others, _) in zip(self.references, answers):
            if chosen[:clear] != others[:clear]:
                self.disagreements.append(
                    f"{prompt.name}: greedy ids {chosen[:clear]}, by {reference.name} {others[:clear]}"
                )
        # An end mark is neither counted nor shown.
        is_ended = clear == len(chosen) and chosen[-1] == self.references[0].model.config.eos_token_id
        ids = chosen[: clear - 1 if is_ended else clear]
        text = self.tokenizer.decode(ids, skip_special_tokens=False) if self.tokenizer else None
        if text is not None:
            # Bytes that are part of no character: the engine leaves them out.
            text = text.replace("\ufffd", "")
        return {
            "ids": ids,
            "text": text,
            "stopReason": "EOS" if is_ended else "MAX_TOKENS",
            "asked": prompt.new_tokens,
            "smallestMargin": min(margins[:clear], default=None),
        }

    def faults(self, prompt, ids):
        """How far each fault moves what the checkpoints look at; the arrays too where everything is kept."""
        from points import TOLERANCES, largest_difference
        from tinygrad_gpt2 import FAULTS

        right, sizes = self.references[0].observe(ids), []
        for fault, (meaning, points) in FAULTS.items():
            layers = 1 if set(points) <= set(LAYER_POINTS) else None
            wrong = self.faulty.observe(ids, frozenset([fault]), layers)
            for point in points:
                layer = 0 if point in LAYER_POINTS else None
                difference = largest_difference(right[point, layer], wrong[point, layer])
                # JSON has no infinity; null stands for a masked place that is not masked, or the reverse.
                finite = difference if difference != float("inf") else None
                sizes.append(
                    {"fault": fault, "meaning": meaning, "point": point, "tolerance": TOLERANCES[point],
                     "difference": finite}
                )  # fmt: skip
                if difference <= TOLERANCES[point]:
                    print(f"note: {self.name} cannot see {fault} at {point}: {difference:.1e}", file=sys.stderr)
                elif self.model.keep_everything:
                    self.keep("faults", prompt.name, point, layer, wrong[point, layer], 0, fault)
        return sizes

    def compare(self, prompt, point, layer, arrays):
        """Each two references' arrays of one point, in the order of `self.references`."""
        from points import largest_difference, tolerance

        named = zip((reference.name for reference in self.references), arrays, strict=True)
        for (left, one), (right, other) in combinations(named, 2):
            difference, allowed = largest_difference(one, other), tolerance(point, layer, one)
            self.agreement.append(
                {"references": [left, right], "prompt": prompt, "point": point, "layer": layer,
                 "tolerance": allowed, "difference": difference}
            )  # fmt: skip
            if not difference <= allowed:
                self.disagreements.append(
                    f"{prompt}: {point}, layer {layer}: {left} and {right} differ by {difference} > {allowed}"
                )

    def keep(self, reference, prompt, point, layer, array, first_row, fault=None):
        import numpy as np

        parts = [fault, prompt, point, None if layer is None else str(layer), "npy"]
        path = f"{reference}/{'.'.join(part for part in parts if part is not None)}"
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(array, dtype="<f4"))
        self.files[path] = buffer.getvalue()
        self.arrays.append(
            {"file": path, "reference": reference, "fault": fault, "prompt": prompt, "point": point, "layer": layer,
             "firstRow": first_row, "shape": list(array.shape), "sha256": digest(buffer.getvalue())}
        )  # fmt: skip


def load_tokenizer(directory):
    """The model's own tokenizer, or None where the directory has none."""
    from tokenizers import ByteLevelBPETokenizer, Tokenizer

    if (directory / "tokenizer.json").is_file():
        return Tokenizer.from_file(str(directory / "tokenizer.json"))
    if (directory / "vocab.json").is_file():
        return ByteLevelBPETokenizer(str(directory / "vocab.json"), str(directory / "merges.txt"))
    return None


def digest(content):
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    os.environ.setdefault("DEV", "CPU")
    main()
