"""One small model directory in the making: what its files will say, and writing them.

The vocabulary has the 256 bytes, some merges and <|endoftext|>; the weights are random. Cases change what they are
about and leave the rest.
"""
# SPDX-License-Identifier: Apache-2.0

import json

import numpy as np
import safetensors.numpy

MERGES = ["h e", "l l", "Ġ t", "Ġt he", "i n", "e r", "Ġ a", "he ll", "Ġa n", "Ġan d"]
MARK = "<|endoftext|>"
WIDTH, HEADS, CONTEXT = 16, 2, 64
FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def alphabet():
    """The character that stands for each byte."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (byte for byte in range(256) if byte not in kept)
    letters = {byte: chr(byte) for byte in kept} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]


def vocabulary(merges=MERGES, without=(), mark=True):
    tokens = [c for c in alphabet() if c not in without] + [m.replace(" ", "") for m in merges]
    return {token: id for id, token in enumerate(tokens + [MARK] * mark)}


def added(content, id, **flags):
    return {"id": id, "content": content} | FLAGS | flags


def tokenizer_json(vocab, merges=MERGES, tokens=None, model=None, **members):
    if tokens is None:
        tokens = [added(MARK, vocab[MARK])]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens,
            "normalizer": None, "pre_tokenizer": dict(BYTE_LEVEL), "post_processor": dict(BYTE_LEVEL),
            "decoder": dict(BYTE_LEVEL),
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                      "ignore_merges": False, "vocab": vocab, "merges": list(merges)} | (model or {})} | members


class Directory:
    """Members may be changed until `write`."""

    def __init__(self, rows=None, seed=1, layers=2):
        self.vocab = vocabulary()
        self.rows = rows or len(self.vocab)
        self.config = dict(
            architectures=["GPT2LMHeadModel"], model_type="gpt2", activation_function="gelu_new",
            vocab_size=self.rows, n_positions=CONTEXT, n_embd=WIDTH, n_layer=layers, n_head=HEADS,
            bos_token_id=self.vocab[MARK], eos_token_id=self.vocab[MARK])
        self.files = {}
        self.pair()
        self.tensors = self.weights(seed, layers)
        self.metadata = {"format": "pt"}
        self.shards = 1
        self.texts = []

    def weights(self, seed, layers):
        random = np.random.default_rng(seed)
        normal = lambda *shape, scale=0.4: random.normal(0, scale, shape).astype(np.float32)
        tensors = {"wte.weight": normal(self.rows, WIDTH), "wpe.weight": normal(CONTEXT, WIDTH)}
        for layer in range(layers):
            for name, rows, columns in (("attn.c_attn", WIDTH, 3 * WIDTH), ("attn.c_proj", WIDTH, WIDTH),
                                        ("mlp.c_fc", WIDTH, 4 * WIDTH), ("mlp.c_proj", 4 * WIDTH, WIDTH)):
                tensors[f"h.{layer}.{name}.weight"] = normal(rows, columns, scale=1.5 / rows**0.5)
                tensors[f"h.{layer}.{name}.bias"] = normal(columns, scale=0.1)
            for name in ("ln_1", "ln_2"):
                tensors[f"h.{layer}.{name}.weight"] = 1 + normal(WIDTH, scale=0.1)
                tensors[f"h.{layer}.{name}.bias"] = normal(WIDTH, scale=0.1)
        tensors["ln_f.weight"] = 1 + normal(WIDTH, scale=0.1)
        tensors["ln_f.bias"] = normal(WIDTH, scale=0.1)
        return {"transformer." + name: value for name, value in tensors.items()}

    def pair(self, vocab=None, merges=MERGES, head="#version: 0.2\n", line="\n", last="\n"):
        """vocab.json and merges.txt, and no tokenizer.json."""
        if vocab is not None:
            self.vocab = vocab
        self.files.pop("tokenizer.json", None)
        self.files["vocab.json"] = self.vocab
        self.files["merges.txt"] = head + line.join(merges) + last

    def combined(self, vocab=None, **arguments):
        """tokenizer.json, and no pair."""
        if vocab is not None:
            self.vocab = vocab
        self.files.pop("vocab.json", None)
        self.files.pop("merges.txt", None)
        self.files["tokenizer.json"] = tokenizer_json(self.vocab, **arguments)

    def resize(self, rows):
        """Rows of the token table; the tokens that are left keep theirs."""
        table = self.tensors["transformer.wte.weight"]
        more = np.random.default_rng(9).normal(0, 0.4, (rows, WIDTH)).astype(np.float32)
        more[: min(rows, len(table))] = table[:rows]
        self.tensors["transformer.wte.weight"] = more
        self.config["vocab_size"] = self.rows = rows

    def speak(self, *ids):
        """Whatever the prompt is, position p is followed by ids[p % len(ids)]."""
        for name, value in self.tensors.items():
            if "c_proj" in name or name.endswith("wte.weight"):
                self.tensors[name] = np.zeros_like(value)
        places = np.zeros((CONTEXT, WIDTH), np.float32)
        head = np.zeros((self.rows, WIDTH), np.float32)
        for position in range(CONTEXT):
            places[position, position % len(ids)] = 8
        for place, id in enumerate(ids):
            head[id, place] = 4
        self.tensors["transformer.wpe.weight"] = places
        self.tensors["transformer.ln_f.weight"] = np.ones(WIDTH, np.float32)
        self.tensors["transformer.ln_f.bias"] = np.zeros(WIDTH, np.float32)
        self.tensors["lm_head.weight"] = head
        self.config["tie_word_embeddings"] = False

    def rename(self, change):
        self.tensors = {change(name): value for name, value in self.tensors.items()}

    def write(self, path):
        path.mkdir(parents=True)
        for name, content in ({"config.json": self.config} | self.files).items():
            if content is None:
                continue
            if not isinstance(content, (str, bytes)):
                content = json.dumps(content, ensure_ascii=False)
            if isinstance(content, str):
                content = content.encode()
            (path / name).write_bytes(content)
        self.write_weights(path)

    def write_weights(self, path):
        tensors = {name: np.ascontiguousarray(value) for name, value in self.tensors.items()}
        if self.shards == 1:
            safetensors.numpy.save_file(tensors, path / "model.safetensors", self.metadata)
            return
        index = {}
        for shard in range(self.shards):
            name = f"model-{shard + 1:05}-of-{self.shards:05}.safetensors"
            part = {key: tensors[key] for key in list(tensors)[shard :: self.shards]}
            safetensors.numpy.save_file(part, path / name, self.metadata)
            index |= dict.fromkeys(part, name)
        text = json.dumps({"metadata": {"total_size": 0}, "weight_map": index})
        (path / "model.safetensors.index.json").write_text(text)
