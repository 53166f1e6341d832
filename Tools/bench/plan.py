"""What is measured, against whom, and what llorch must reach. Numbers and names only; runs nothing."""
# SPDX-License-Identifier: Apache-2.0

import dataclasses

VOCABULARY, CONTEXT = 50257, 1024


@dataclasses.dataclass(frozen=True)
class Model:
    """GPT-2's sizes; the weights are random, so only speed is compared."""
    preset: str  # of scripts/make-random-model
    layers: int
    width: int

    @property
    def matrix_weights(self):
        """Weights of the layers' matrices."""
        return self.layers * 12 * self.width**2

    @property
    def small_weights(self):
        """Biases and layer norms, always f32."""
        return self.layers * 13 * self.width + 2 * self.width

    @property
    def table_weights(self):
        """The token table, which is the head as well."""
        return VOCABULARY * self.width

    def cache_bytes(self, positions, element):
        return 2 * self.layers * self.width * positions * element


MODELS = {"gpt2-124m": Model("124m", 12, 768), "gpt2-355m": Model("355m", 24, 1024)}


@dataclasses.dataclass(frozen=True)
class Precision:
    title: str
    weight_bytes: float  # read for one weight at least; for 8 bit without its scales
    stored_bytes: float  # of one weight in memory
    cache_bytes: int     # of one element of the keys and values
    rate: str            # the arithmetic whose peak limits prefill, a key of what limits.py measures
    gguf: str            # the variant of the GGUF file that holds the same
    peers: tuple         # (engine, variant)


# llorch's spelling of --precision.
PRECISIONS = {
    "f32": Precision("32 bit", 4, 4, 4, "f32", "f32", (
        ("llama.cpp", "f32"), ("onnxruntime", "f32"), ("openvino", "f32"), ("ctranslate2", "f32"))),
    "bf16": Precision("16 bit", 2, 2, 2, "bf16", "bf16", (
        ("llama.cpp", "f16"), ("llama.cpp", "bf16"), ("openvino", "bf16"))),
    "q8": Precision("8 bit", 1, 34 / 32, 2, "int8", "q8_0", (
        ("llama.cpp", "q8_0"), ("onnxruntime", "int8"), ("onnxruntime", "int8w"),
        ("openvino", "int8"), ("ctranslate2", "int8"))),
    "q4": Precision("4 bit", 18 / 32, 18 / 32, 2, "int8", "q4_0pure", (
        ("llama.cpp", "q4_0"), ("llama.cpp", "q4_0pure"), ("onnxruntime", "int4"),
        ("openvino", "int4"))),
}


@dataclasses.dataclass(frozen=True)
class Metric:
    title: str
    unit: str
    better: str = "more"  # or "less"
    prompt: int = 0
    depth: int = 0
    generated: int = 0

    @property
    def test(self):
        """llama-bench's name of the row."""
        test = f"pp{self.prompt}" if self.prompt else f"tg{self.generated}"
        return f"{test} @ d{self.depth}" if self.depth else test

    @property
    def tokens(self):
        return self.prompt or self.generated


METRICS = {
    "load": Metric("load to ready", "s", "less"),
    "decode": Metric("decode", "tokens/s", depth=16, generated=128),
    "decode900": Metric("decode at 900", "tokens/s", depth=896, generated=32),
    "prefill128": Metric("prefill 128", "tokens/s", prompt=128),
    "prefill512": Metric("prefill 512", "tokens/s", prompt=512),
    "prefill1000": Metric("prefill 1000", "tokens/s", prompt=1000),
    "memory": Metric("peak memory", "MB", "less"),
    "encode": Metric("BPE encode", "MB/s"),
}
RATES = tuple(name for name, metric in METRICS.items() if metric.tokens)



def shorten():
    """For --quick: the same tests with fewer tokens."""
    METRICS["decode"] = dataclasses.replace(METRICS["decode"], generated=32)
    METRICS["decode900"] = dataclasses.replace(METRICS["decode900"], generated=16)


ENCODERS = (("tiktoken", "gpt2"), ("tokenizers", "gpt2"))
TITLES = {"llorch": "llorch", "llama.cpp": "llama.cpp", "onnxruntime": "ONNX Runtime",
          "openvino": "OpenVINO", "ctranslate2": "CTranslate2", "tiktoken": "tiktoken",
          "tokenizers": "HF tokenizers"}
PEERS = tuple(name for name in TITLES if name != "llorch")


@dataclasses.dataclass(frozen=True)
class Target:
    """`factor` times `of`, or, for "allowance", no more than weights × factor + KV cache."""
    factor: float
    of: str = "best"  # "best" peer, an engine, "own f32", "allowance"


TARGETS = {
    ("decode", "f32"): Target(1.15), ("decode", "bf16"): Target(1.05),
    ("decode", "q8"): Target(1.25), ("decode", "q4"): Target(1.45),
    ("decode900", "f32"): Target(1.15), ("decode900", "bf16"): Target(1.1),
    ("decode900", "q8"): Target(1.3), ("decode900", "q4"): Target(1.5),
    ("prefill512", "f32"): Target(1.15), ("prefill512", "bf16"): Target(0.95, "own f32"),
    ("prefill512", "q8"): Target(1.1), ("prefill512", "q4"): Target(1.5),
    **{("load", precision): Target(1.0, "llama.cpp") for precision in PRECISIONS},
    **{("memory", precision): Target(1.1, "allowance") for precision in PRECISIONS},
    ("encode", None): Target(2.0, "tiktoken"),
}
# The rows of the table, in its order.
ROWS = ("decode", "decode900", "prefill512", "load", "memory")


def allowed_bytes(model, precision):
    """Weights × 1.1 and the KV cache of a whole context."""
    shape, kind = MODELS[model], PRECISIONS[precision]
    # Where everything else has 4 bits, token tables have 8.
    table_bytes = PRECISIONS["q8" if precision == "q4" else precision].stored_bytes
    weights = (shape.matrix_weights * kind.stored_bytes + shape.table_weights * table_bytes
               + (shape.small_weights + CONTEXT * shape.width) * 4)
    factor = TARGETS["memory", precision].factor
    return weights * factor + shape.cache_bytes(CONTEXT, kind.cache_bytes)
