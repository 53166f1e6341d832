"""Small GGUF files of one GPT-2 with random weights, each with something changed that files in the wild have.

Says what is in the files, not what is right: that is what llama.cpp does with them (gguf_oracle.py).
"""
# SPDX-License-Identifier: Apache-2.0

import random

import numpy as np

from matrix import gguf_writer

WIDTH, HEADS, LAYERS, INNER, CONTEXT = 32, 4, 2, 64, 256
MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w", "Ġw o", "Ġ h", "Ġh e", "' s", "' l", "'l l", "Ġ Ġ", "ĠĠ ĠĠ",
          "1 2", "3 4", "12 34", "! !", "Ċ Ċ", "Ċ Ġ", "Ã ©", ", Ġ", "Ġ ,", "< |", "Ġ <", "n d"]
END = "<|endoftext|>"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


def text():
    """What is tokenized: cuts, runs of spaces, scripts, and marks of every sort."""
    return "\n".join([
        "hello world, hello   world  ", "it's we'll I'M 'S they're'", "1234567 12 3.14 1,000 ½ ²³ ٣٤",
        "a,b;c!! ?? ... --- $5 <= >= ^~|`", "naïve café — “quotes” …", "日本語のテキスト、한국어",
        "🦙🦙 👩‍👩‍👧 ✅",
        "tab\there \r\n\r\n  two\n\n\nthree", "\u00a0nbsp\u2003em\u3000wide\u200bzero", "e\u0301 combining \u0301",
        f"{END} hi{END}{END} <|endoftext|", "a<|im_end|>b <|im_start|>user", "x <PAD> [PAD] </s> <s> <unk> [MASK]",
        "see <user> and <user1> or <use <user>r>", "ab abc bcd abcd", "   <pad>   <sp>  x", "\x00\x01 \x7f end", ""])


class Spec:
    """One file: what a case changes before it is written."""

    def __init__(self, seed=1):
        self.random = np.random.default_rng(seed)
        self.added = [(END, CONTROL)]
        self.merges = list(MERGES)
        self.metadata = {
            "general.architecture": ("str", "gpt2"), "general.name": ("str", "matrix"),
            "gpt2.block_count": ("u32", LAYERS), "gpt2.context_length": ("u32", CONTEXT),
            "gpt2.embedding_length": ("u32", WIDTH), "gpt2.feed_forward_length": ("u32", INNER),
            "gpt2.attention.head_count": ("u32", HEADS),
            "gpt2.attention.layer_norm_epsilon": ("f32", 1e-5),
            "tokenizer.ggml.model": ("str", "gpt2"), "tokenizer.ggml.pre": ("str", "gpt-2")}
        self.marks = {"eos": END, "bos": END}
        self.kinds = {"matrix": "F32", "table": "F32", "positions": "F32", "vector": "F32"}
        self.dropped, self.extra, self.layout = set(), [], {}
        self.head = self.constant = None
        self.without_types = self.reverse = False
        self.types_kind, self.id_kind = "i32s", "u32"

    def tokens(self):
        kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
        letters = {byte: chr(byte) for byte in kept}
        for place, byte in enumerate(byte for byte in range(256) if byte not in letters):
            letters[byte] = chr(256 + place)
        tokens = [letters[byte] for byte in range(256)]
        for merge in self.merges:
            if (made := merge.replace(" ", "")) not in tokens:
                tokens.append(made)
        kinds = [NORMAL] * len(tokens)
        for token, kind in self.added:
            tokens.append(token)
            kinds.append(kind)
        return tokens, kinds

    def tensors(self, count):
        draw = lambda *shape: self.random.normal(0, .3, shape).astype(np.float32)
        near_one = lambda: 1 + self.random.normal(0, .1, WIDTH).astype(np.float32)
        kinds = self.kinds
        made = [("token_embd.weight", draw(count, WIDTH), kinds["table"]),
                ("position_embd.weight", draw(CONTEXT, WIDTH), kinds["positions"])]
        for layer in range(LAYERS):
            for name, shape in (("attn_norm", None), ("attn_qkv", (3 * WIDTH, WIDTH)),
                                ("attn_output", (WIDTH, WIDTH)), ("ffn_norm", None),
                                ("ffn_up", (INNER, WIDTH)), ("ffn_down", (WIDTH, INNER))):
                weight = draw(*shape) if shape else near_one()
                made.append((f"blk.{layer}.{name}.weight", weight,
                             kinds["matrix" if shape else "vector"]))
                made.append((f"blk.{layer}.{name}.bias", draw(len(weight)), kinds["vector"]))
        norm, bias = near_one(), draw(WIDTH)
        head = draw(count, WIDTH) if self.head == "own" else made[0][1] if self.head == "copy" else None
        if self.constant is not None:
            norm, bias, head = np.zeros_like(norm), np.eye(1, WIDTH, dtype=np.float32)[0], np.zeros((count, WIDTH), "f")
            head[self.constant, 0] = 50
        made += [("output_norm.weight", norm, kinds["vector"]), ("output_norm.bias", bias, kinds["vector"])]
        if head is not None:
            made.append(("output.weight", head, kinds.get("head", kinds["table"])))
        made = [entry for entry in made if entry[0] not in self.dropped] + self.extra
        return made[::-1] if self.reverse else made

    def write(self, path):
        tokens, kinds = self.tokens()
        if isinstance(self.constant, str):
            self.constant = tokens.index(self.constant)
        metadata = dict(self.metadata)
        metadata["tokenizer.ggml.tokens"] = ("strs", tokens)
        if not self.without_types:
            metadata["tokenizer.ggml.token_type"] = (self.types_kind, kinds)
        metadata["tokenizer.ggml.merges"] = ("strs", self.merges)
        for mark, token in self.marks.items():
            number = token if isinstance(token, int) else tokens.index(token)
            metadata[f"tokenizer.ggml.{mark}_token_id"] = (self.id_kind, number)
        entries = [(key, *given) for key, given in metadata.items() if key not in self.dropped]
        return gguf_writer.write(path, entries, self.tensors(len(tokens)), **self.layout)


def put(spec, **values):
    """Keys of the tokenizer: put(spec, pre=("str", "phi-2"))."""
    for key, given in values.items():
        spec.metadata[f"tokenizer.ggml.{key}"] = given


def pre(name):
    def change(spec):
        put(spec, pre=("str", name))
    return change


def added(*tokens, **marks):
    def change(spec):
        spec.added += tokens
        spec.marks |= marks
    return change


def keys(**values):
    def change(spec):
        put(spec, **values)
    return change


def sizes(key, kind, given):
    def change(spec):
        spec.metadata[key] = (kind, given)
    return change


def stored(**kinds):
    def change(spec):
        spec.kinds |= kinds
    return change


def dropping(*names):
    def change(spec):
        spec.dropped |= set(names)
    return change


def layout(**values):
    def change(spec):
        spec.layout |= values
    return change


def attributes(**values):
    def change(spec):
        for name, given in values.items():
            setattr(spec, name, given)
    return change


def both(*changes):
    def change(spec):
        for one in changes:
            one(spec)
    return change


def without_mark(*names):
    def change(spec):
        for name in names:
            del spec.marks[name]
    return change


FAMILIES = {
    "plain": {"plain": lambda spec: None},
    "pre": {f"pre-{name}": pre(name) for name in (
        "phi-2", "jina-es", "jina-v2-de", "gigachat", "mellum", "mpt", "olmo", "jais", "exaone4", "trillion",
        "roberta-bpe", "jina-v2-code", "starcoder", "llama-bpe", "qwen2", "falcon", "default", "no-such-name")}
    | {"pre-missing": dropping("tokenizer.ggml.pre"), "pre-empty": pre(""),
       "roberta-with-separator": both(pre("roberta-bpe"), added(("</s>", CONTROL), seperator="</s>"))},
    "tokens": {
        "control": added(("<|im_end|>", CONTROL), ("<|im_start|>", CONTROL)),
        "user-defined": added(("<user>", USER_DEFINED), ("<user1>", USER_DEFINED)),
        "user-defined-overlaps": added(("ab", USER_DEFINED), ("bcd", USER_DEFINED), ("abc", USER_DEFINED)),
        "user-defined-with-spaces": added(("  <sp>", USER_DEFINED), ("   ", USER_DEFINED)),
        "user-defined-end": added(("<|im_end|>", USER_DEFINED)),
        "unknown": added(("<unk>", UNKNOWN), unknown="<unk>"),
        "byte": added(("<0x41>", BYTE)),
        "unused-inside": added(("[PAD7]", UNUSED), ("<user>", USER_DEFINED)),
        "padded": added(*((f"[PAD{n}]", UNUSED) for n in range(5))),
        "normal-mark": added(("</s>", NORMAL)),
        "no-types": attributes(without_types=True),
        "types-as-u32": attributes(types_kind="u32s"),
    },
    "ends": {
        "eos-missing": without_mark("eos", "bos"),
        "eos-out-of-range": lambda spec: spec.marks.update(eos=1 << 20),
        "eos-is-a-word": lambda spec: spec.marks.update(eos="hello"),
        "eos-as-i32": attributes(id_kind="i32"),
        "eot": added(("<turn>", CONTROL), eot="<turn>"),
        "eom": added(("<more>", CONTROL), eom="<more>"),
        "im-end": added(("<|im_end|>", CONTROL), eos="<|im_end|>"),
        "pad-text": added(("[PAD]", CONTROL), padding="[PAD]"),
        "fim-pad-key": added(("<fill>", CONTROL), fim_pad="<fill>"),
        "harmony": added(("<|return|>", CONTROL), ("<|call|>", CONTROL), ("<|end|>", CONTROL),
                         ("<|channel|>", CONTROL)),
        "tool-response": added(("<|tool_response>", CONTROL), ("</s>", CONTROL)),
        "file-separator": added(("<|file_sep|>", CONTROL), ("<|repo_name|>", CONTROL)),
        "ends-at-once": both(added(("<|im_end|>", CONTROL)), attributes(constant="<|im_end|>")),
        "never-ends": attributes(constant="hello"),
    },
    "settings": {
        "add-bos": keys(add_bos_token=("bool", True)),
        "add-bos-false": keys(add_bos_token=("bool", False), add_eos_token=("bool", False)),
        "add-eos": keys(add_eos_token=("bool", True)),
        "add-sep": keys(add_sep_token=("bool", True)),
        "add-space-prefix": keys(add_space_prefix=("bool", True)),
        "remove-extra-whitespaces": keys(remove_extra_whitespaces=("bool", True)),
        "tokenizer-llama": keys(model=("str", "llama")),
        "merges-missing": dropping("tokenizer.ggml.merges"),
        "tokens-missing": dropping("tokenizer.ggml.tokens"),
    },
    "sizes": {
        "context-as-u64": sizes("gpt2.context_length", "u64", CONTEXT),
        "blocks-as-i32": sizes("gpt2.block_count", "i32", LAYERS),
        "no-feed-forward": dropping("gpt2.feed_forward_length"),
        "no-epsilon": dropping("gpt2.attention.layer_norm_epsilon"),
        "no-heads": dropping("gpt2.attention.head_count"),
        "shared-heads": sizes("gpt2.attention.head_count_kv", "u32", 2),
        "not-causal": sizes("gpt2.attention.causal", "bool", False),
        "key-length": sizes("gpt2.attention.key_length", "u32", WIDTH // HEADS * 2),
        "llama": sizes("general.architecture", "str", "llama"),
        "split": both(sizes("split.count", "u16", 2), sizes("split.no", "u16", 0),
                      sizes("split.tensors.count", "i32", 50)),
    },
    "layout": {
        "version-2": layout(version=2), "version-1": layout(version=1), "big-endian": layout(order=">"),
        "alignment-64": both(sizes("general.alignment", "u32", 64), layout(alignment=64)),
        "alignment-8": both(sizes("general.alignment", "u32", 8), layout(alignment=8)),
        "alignment-24": both(sizes("general.alignment", "u32", 24), layout(alignment=24)),
        "bytes-after": layout(after=b"trailing bytes" * 40),
        "reversed": attributes(reverse=True),
        "extra-tensor": lambda spec: spec.extra.append(("rope_freqs.weight", np.ones(4, "f"), "F32")),
        "missing-bias": dropping("blk.1.attn_qkv.bias"),
    },
    "weights": {
        "own-head": attributes(head="own"), "copied-head": attributes(head="copy"),
        "f16": stored(matrix="F16", table="F16"), "bf16": stored(matrix="BF16", table="BF16"),
        "q8": stored(matrix="Q8_0", table="Q8_0"), "q4": stored(matrix="Q4_0", table="Q8_0"),
        "q4-table": stored(matrix="Q4_0", table="Q4_0"),
        "q8-head": both(attributes(head="own"), stored(head="Q8_0")),
        "f16-everywhere": stored(matrix="F16", table="F16", positions="F16"),
    },
}
CASES = {name: change for family in FAMILIES.values() for name, change in family.items()}


def write(name, path):
    spec = Spec()
    CASES[name](spec)
    return spec.write(path)


def write_random(seed, path):
    """One change of each of a few families; gives their names."""
    choice = random.Random(seed)
    spec = Spec(seed)
    families = choice.sample(sorted(FAMILIES), choice.randint(1, 4))
    names = [choice.choice(sorted(FAMILIES[family])) for family in families]
    for name in names:
        CASES[name](spec)
    spec.write(path)
    return names
