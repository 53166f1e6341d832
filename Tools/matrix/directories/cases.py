"""The cases: each changes a plain directory in one way and says what is expected of it.

`refused` has words that the worker's sentence must hold; without them the worker must agree with transformers.
`twin` is the directory that transformers is asked about where it cannot read the one at hand.
"""
# SPDX-License-Identifier: Apache-2.0

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .directory import (BYTE_LEVEL, CONTEXT, MARK, MERGES, WIDTH, Directory, added, tokenizer_json,
                        vocabulary)

SIZE = len(vocabulary())
END = vocabulary()[MARK]


@dataclass
class Case:
    name: str
    change: Callable
    refused: tuple = ()
    twin: Callable | None = None
    # Why transformers 4 answers otherwise, where it does.
    unlike_4: str | None = None

    def directory(self):
        directory = Directory()
        self.change(directory)
        return directory


CASES = []


def case(name, refused=(), twin=None, unlike_4=None):
    def keep(change):
        CASES.append(Case(name, change, (refused,) if isinstance(refused, str) else refused, twin, unlike_4))
        return change
    return keep


def simple(name, refused=(), unlike_4=None, **settings):
    """A case that sets members of config.json."""
    case(name, refused, unlike_4=unlike_4)(lambda d: d.config.update(settings))


def nothing(_):
    pass


# tokenizer files: which there are

case("vocab.json and merges.txt")(nothing)


@case("tokenizer.json alone")
def _(d):
    d.combined()


@case("tokenizer.json beside an equal pair")
def _(d):
    d.files["tokenizer.json"] = tokenizer_json(d.vocab)


@case("tokenizer.json beside another pair")
def _(d):
    d.files["tokenizer.json"] = tokenizer_json(d.vocab, merges=MERGES[:3])


@case("no tokenizer files", "must have vocab.json and merges.txt, or tokenizer.json")
def _(d):
    d.files.clear()


@case("vocab.json without merges.txt", "found vocab.json only")
def _(d):
    del d.files["merges.txt"]


@case("merges.txt without a version line", unlike_4="it drops the first line whatever it is")
def _(d):
    d.pair(head="")


@case("merges.txt without a last newline", unlike_4="it drops the last merge then")
def _(d):
    d.pair(last="")


@case("merges.txt with CRLF")
def _(d):
    d.pair(head="#version: 0.2\r\n", line="\r\n", last="\r\n")


@case("merges.txt with a byte order mark", ("merges.txt", "line 1"))
def _(d):
    d.pair(head="\ufeff#version: 0.2\n")


@case("vocab.json with a byte order mark", "vocab.json")
def _(d):
    d.files["vocab.json"] = "\ufeff" + json.dumps(d.vocab)


@case("a merge twice", ("merges.txt", "merge 10"))
def _(d):
    d.pair(merges=[*MERGES, MERGES[0]])


@case("a merge of no tokens", "merges.txt")
def _(d):
    d.pair(merges=[*MERGES, "q q"])


@case("merges as pairs")
def _(d):
    d.combined(merges=[merge.split(" ") for merge in MERGES])


@case("ids with a hole", "without holes")
def _(d):
    d.resize(SIZE + 3)
    d.pair(d.vocab | {"ab": SIZE + 2})


@case("an alphabet without some bytes")
def _(d):
    d.pair(vocabulary(without="ezĠ", merges=["h i", "l l"]), merges=["h i", "l l"])
    d.resize(len(d.vocab))
    d.config["eos_token_id"] = d.vocab[MARK]
    d.texts += ["hei hi zz all of ezeze"]


@case("a small alphabet in tokenizer.json")
def _(d):
    d.combined(vocabulary(without="b", merges=["a c"]), merges=["a c"])
    d.resize(len(d.vocab))
    d.texts += ["abc bbb cab"]


@case("a small alphabet with unk_token", ("tokenizer.json", "model.unk_token"))
def _(d):
    d.combined(vocabulary(without="b", merges=[]), merges=[], model={"unk_token": MARK})
    d.resize(len(d.vocab))
    d.texts += ["abc"]


@case("unk_token that is never needed")
def _(d):
    d.combined(model={"unk_token": MARK})


@case("a token that is not spelled in the alphabet")
def _(d):
    d.resize(SIZE + 1)
    d.pair(d.vocab | {"日 本": SIZE})
    d.texts += ["日 本"]


@case("more tokens than rows", "the tokenizer has")
def _(d):
    d.resize(SIZE - 4)


@case("padded rows")
def _(d):
    d.resize(SIZE + 51)


@case("no end mark in the vocabulary")
def _(d):
    d.pair(vocabulary(mark=False))
    d.config["eos_token_id"] = None


# tokenizer.json: steps

template = {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {}}
first_mark = template | {
    "single": [{"SpecialToken": {"id": MARK, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {MARK: {"id": MARK, "ids": [END], "tokens": [MARK]}}}


def steps(name, refused=(), **changes):
    case(name, refused)(lambda d: d.combined(**changes))


steps("a template that adds nothing", post_processor=template)
steps("a template in a sequence", post_processor={"type": "Sequence", "processors": [BYTE_LEVEL, template]})
steps("a template that adds a mark", ("tokenizer.json", "post_processor.single"), post_processor=first_mark)
steps("Roberta's post-processor", ("tokenizer.json", "post_processor.type"),
      post_processor={"type": "RobertaProcessing", "sep": [MARK, END], "cls": [MARK, END], "trim_offsets": True,
                      "add_prefix_space": False})
steps("no post-processor", post_processor=None)
steps("a normalizer (lower case)", ("tokenizer.json", "normalizer"), normalizer={"type": "Lowercase"})
steps("a normalizer (NFC)", ("tokenizer.json", "normalizer"), normalizer={"type": "NFC"})
steps("a sequence of no normalizers", normalizer={"type": "Sequence", "normalizers": []})
steps("another pre-tokenizer", ("tokenizer.json", "pre_tokenizer"), pre_tokenizer={"type": "Whitespace"})
steps("use_regex false", ("tokenizer.json", "use_regex"), pre_tokenizer=BYTE_LEVEL | {"use_regex": False})
steps("add_prefix_space in tokenizer.json only", ("tokenizer.json", "add_prefix_space"),
      pre_tokenizer=BYTE_LEVEL | {"add_prefix_space": True})
steps("ByteLevel in a sequence", pre_tokenizer={"type": "Sequence", "pretokenizers": [BYTE_LEVEL]})
steps("truncation and padding", truncation={"direction": "Right", "max_length": 3, "strategy": "LongestFirst",
                                            "stride": 0},
      padding={"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
               "pad_type_id": 0, "pad_token": "!"})
steps("ignore_merges", ("tokenizer.json", "ignore_merges"), model={"ignore_merges": True})
steps("byte_fallback", ("tokenizer.json", "byte_fallback"), model={"byte_fallback": True})
steps("dropout", ("tokenizer.json", "dropout"), model={"dropout": 0.3})
steps("dropout of nothing", model={"dropout": 0.0})
steps("an end_of_word_suffix", ("tokenizer.json", "end_of_word_suffix"), model={"end_of_word_suffix": "</w>"})
steps("a continuing_subword_prefix", ("tokenizer.json", "continuing_subword_prefix"),
      model={"continuing_subword_prefix": "##"})
steps("empty prefix and suffix", model={"continuing_subword_prefix": "", "end_of_word_suffix": ""})
steps("another kind of model", ("tokenizer.json", "model.type"), model={"type": "WordLevel"})

# added tokens

CHAT = "a<|im_end|>b  <|im_end|> c<|im_end|>"


@case("an added token in added_tokens.json")
def _(d):
    d.resize(SIZE + 1)
    d.files["added_tokens.json"] = {"<|im_end|>": SIZE}
    d.speak(5, SIZE, 7)
    d.config["eos_token_id"] = SIZE
    d.texts += [CHAT]


@case("... made special by special_tokens_map.json")
def _(d):
    d.resize(SIZE + 1)
    d.files["added_tokens.json"] = {"<|im_end|>": SIZE}
    d.files["special_tokens_map.json"] = {"eos_token": "<|im_end|>"}
    d.texts += [CHAT]


@case("... under an id that is not the next", ("added_tokens.json", "the next id that is free"))
def _(d):
    d.resize(SIZE + 9)
    d.files["added_tokens.json"] = {"<|im_end|>": SIZE + 4}


@case("... beyond the token table")
def _(d):
    d.files["added_tokens.json"] = {"[PAD]": SIZE}
    d.files["special_tokens_map.json"] = {"pad_token": "[PAD]"}
    d.texts += ["a[PAD]b"]


@case("added tokens in tokenizer.json")
def _(d):
    d.resize(SIZE + 3)
    d.combined(tokens=[added(MARK, END), added("<|im_end|>", SIZE), added("<u>", SIZE + 1, special=False),
                       added("<u>u", SIZE + 2, special=False, normalized=True)])
    d.texts += [CHAT, "<u>u <u><u>u<|im_end|>u"]
    d.speak(SIZE + 1, SIZE + 2, 40)


@case("... out of order", ("tokenizer.json", "added_tokens"))
def _(d):
    d.resize(SIZE + 2)
    d.combined(tokens=[added(MARK, END), added("<y>", SIZE + 1), added("<x>", SIZE)])


@case("... that strip spaces")
def _(d):
    d.resize(SIZE + 3)
    d.combined(tokens=[added(MARK, END), added("<l>", SIZE, special=False, lstrip=True),
                       added("<r>", SIZE + 1, special=False, rstrip=True),
                       added("<b>", SIZE + 2, lstrip=True, rstrip=True)])
    d.texts += ["a <l> b \t<r>\u3000 \n c \u2028 <b>\u0085<l>  <b><r>  <l> ", "<r> <l>", " <l><b>"]


@case("... that are whole words only", ("tokenizer.json", "single_word"))
def _(d):
    d.resize(SIZE + 1)
    d.combined(tokens=[added(MARK, END), added("word", SIZE, single_word=True)])


@case("... that begin alike")
def _(d):
    d.resize(SIZE + 4)
    d.combined(tokens=[added(MARK, END), added("<a", SIZE, special=False), added("<a>", SIZE + 1),
                       added("<a>b", SIZE + 2, special=False), added(">c", SIZE + 3, special=False)])
    d.texts += ["<a>b<a>c<a <a<a>><a>>c>c", "<<a>bb"]


@case("... that the vocabulary has")
def _(d):
    d.combined(tokens=[added(MARK, END), added("Ġthe", d.vocab["Ġthe"], special=False),
                       added("in", d.vocab["in"], special=False, normalized=True)])
    d.texts += ["Ġthe the in inn in"]


@case("... that the vocabulary has under another id", ("tokenizer.json", "as in the vocabulary"))
def _(d):
    d.resize(SIZE + 1)
    d.combined(tokens=[added(MARK, SIZE)])


@case("... that are not ASCII")
def _(d):
    d.resize(SIZE + 2)
    d.combined(tokens=[added(MARK, END), added("日本", SIZE, special=False), added("é\u0301", SIZE + 1)])
    d.texts += ["日本日本語 é\u0301 é e\u0301"]


def decoder(*tokens):
    return {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in tokens}


@case("added_tokens_decoder")
def _(d):
    d.resize(SIZE + 2)
    d.files["tokenizer_config.json"] = {
        "tokenizer_class": "GPT2Tokenizer", "added_tokens_decoder": decoder(
            added(MARK, END), added("<x>", SIZE, special=False, lstrip=True), added("<y>", SIZE + 1))}
    d.texts += ["a <x> b<y>"]


@case("added_tokens_decoder beside tokenizer.json with other flags")
def _(d):
    d.combined()
    d.files["tokenizer_config.json"] = {
        "added_tokens_decoder": decoder(added(MARK, END, lstrip=True, rstrip=True))}
    d.texts += [f"a {MARK} b"]


@case("added_tokens_decoder that lacks a token of tokenizer.json", ("tokenizer.json", "added_tokens_decoder"))
def _(d):
    d.resize(SIZE + 1)
    d.combined(tokens=[added(MARK, END), added("<y>", SIZE)])
    d.files["tokenizer_config.json"] = {"added_tokens_decoder": decoder(added(MARK, END))}


@case("special tokens by their roles")
def _(d):
    d.resize(SIZE + 9)
    roles = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"]
    d.files["special_tokens_map.json"] = {f"{r}_token": f"[{r}]" for r in reversed(roles)} | {
        "additional_special_tokens": ["[one]", "[two]"]}
    d.texts += ["".join(f"[{r}]" for r in roles) + "[two][one]" + MARK]


@case("roles in tokenizer_config.json")
def _(d):
    d.files["tokenizer_config.json"] = {
        "bos_token": MARK, "eos_token": MARK, "unk_token": MARK, "pad_token": None, "errors": "replace",
        "model_max_length": 4, "clean_up_tokenization_spaces": True, "add_bos_token": False,
        "tokenizer_class": "GPT2Tokenizer", "chat_template": "{{ x }}", "padding_side": "left"}


@case("no roles at all")
def _(d):
    d.files["tokenizer_config.json"] = {f"{role}_token": None for role in ("bos", "eos", "unk")}


@case("a role under a name of its own", ("tokenizer_config.json", "image_token"))
def _(d):
    d.files["tokenizer_config.json"] = {"image_token": "[I]"}


def tokenizer_config(name, refused=(), combined=False, unlike_4=None, **members):
    @case(name, refused, unlike_4=unlike_4)
    def _(d):
        if combined:
            d.combined(pre_tokenizer=BYTE_LEVEL | {"add_prefix_space": bool(members.get("add_prefix_space"))})
        d.files["tokenizer_config.json"] = members
        d.texts += ["Hi", " Hi", "\tHi", f"a{MARK}b {MARK}"]


tokenizer_config("add_prefix_space", add_prefix_space=True)
tokenizer_config("add_prefix_space in both files", combined=True, add_prefix_space=True)
tokenizer_config("add_prefix_space false", combined=True, add_prefix_space=False)
tokenizer_config("add_bos_token", ("tokenizer_config.json", "add_bos_token"), add_bos_token=True)
tokenizer_config("add_eos_token", ("tokenizer_config.json", "add_eos_token"), add_eos_token=True)
tokenizer_config("split_special_tokens", ("tokenizer_config.json", "split_special_tokens"),
                 split_special_tokens=True)
tokenizer_config("another tokenizer_class", ("tokenizer_config.json", "tokenizer_class"),
                 tokenizer_class="RobertaTokenizer")
tokenizer_config("GPT2TokenizerFast", tokenizer_class="GPT2TokenizerFast")
tokenizer_config("PreTrainedTokenizerFast with tokenizer.json", combined=True,
                 tokenizer_class="PreTrainedTokenizerFast")
tokenizer_config("PreTrainedTokenizerFast without tokenizer.json", ("tokenizer_config.json", "tokenizer_class"),
                 tokenizer_class="PreTrainedTokenizerFast")
simple("tokenizer_class in config.json", ("config.json", "tokenizer_class"), tokenizer_class="RobertaTokenizer")


@case("PreTrainedTokenizerFast without added tokens")
def _(d):
    d.combined(tokens=[])
    d.files["tokenizer_config.json"] = {"tokenizer_class": "PreTrainedTokenizerFast"}


# end marks

def ends(name, refused=(), config=(END,), generation="none", unlike_4=None):
    """The text is 5, 6, 7, END, 8, ... from some place on."""
    @case(name, refused, unlike_4=unlike_4)
    def _(d):
        d.speak(5, 6, 7, END, 8)
        if config == "missing":
            del d.config["eos_token_id"]
        else:
            d.config["eos_token_id"] = config if config is None or len(config) != 1 else config[0]
        if generation != "none":
            d.files["generation_config.json"] = generation


ends("eos_token_id")
ends("eos_token_id null", config=None)
ends("eos_token_id missing", config="missing")
ends("several end marks", config=[50, 8, END])
ends("an empty list of end marks", config=[])
ends("an end mark outside the vocabulary", config=(50256,))
ends("a negative end mark", config=(-1,))
ends("one of two end marks outside", config=[50256, 7])
ends("generation_config.json has another end mark", generation={"eos_token_id": 6})
ends("generation_config.json has several", config=None, generation={"eos_token_id": [8, 6]})
ends("generation_config.json has none", generation={"bos_token_id": END})
ends("generation_config.json has null", generation={"eos_token_id": None})
ends("generation_config.json has sampling", generation={
    "eos_token_id": END, "do_sample": False, "temperature": 0.7, "top_p": 0.9, "top_k": 40, "max_length": 20})
ends("an end mark that is text", "eos_token_id", config="5")
for member, value in {"suppress_tokens": [5], "bad_words_ids": [[6]], "no_repeat_ngram_size": 2, "min_length": 30,
                      "forced_eos_token_id": 5, "repetition_penalty": 1.5, "num_beams": 2,
                      "begin_suppress_tokens": [5]}.items():
    ends(f"generation_config.json: {member}", ("generation_config.json", member),
         generation={"eos_token_id": END, member: value})
simple("config.json: no_repeat_ngram_size", ("config.json", "no_repeat_ngram_size"), no_repeat_ngram_size=2)
simple("config.json: settings of old versions", no_repeat_ngram_size=0, num_beams=1, repetition_penalty=1.0,
       bad_words_ids=None, min_length=0, do_sample=False, max_length=20, temperature=1.0,
       task_specific_params={"text-generation": {"do_sample": True, "max_length": 50}})

# config.json

for function in ("gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate", "gelu", "gelu_python", "relu"):
    simple(f"activation {function}", activation_function=function)
for function in ("silu", "quick_gelu", "tanh"):
    simple(f"activation {function}", ("config.json", "activation_function"), activation_function=function)
for name in ("GPT2Model", "GPT2DoubleHeadsModel", "GPT2ForSequenceClassification"):
    simple(f"architecture {name}", architectures=[name])
simple("reorder_and_upcast_attn", reorder_and_upcast_attn=True)
simple("scale_attn_by_inverse_layer_idx", scale_attn_by_inverse_layer_idx=True,
       unlike_4="its fused attention leaves the setting out")
simple("scale_attn_weights false", scale_attn_weights=False, unlike_4="its fused attention leaves the setting out")
simple("add_cross_attention", ("config.json", "add_cross_attention"), add_cross_attention=True)
simple("quantization_config", ("config.json", "quantization_config"),
       quantization_config={"quant_method": "gptq", "bits": 4})
simple("another model_type", ("config.json", "model_type"), model_type="gpt_neo")
simple("n_inner", n_inner=4 * WIDTH)
simple("n_inner that the weights do not have", "h.0.mlp.c_fc.weight has shape", n_inner=48)
simple("equal sizes under two names", hidden_size=WIDTH, num_hidden_layers=2, n_ctx=CONTEXT)
simple("sizes that differ under two names", ("config.json", "hidden_size"), hidden_size=2 * WIDTH)
simple("dtype and dropouts", dtype="float32", resid_pdrop=0.5, embd_pdrop=0.5, attn_pdrop=0.5, use_cache=False)
simple("layer_norm_epsilon", layer_norm_epsilon=0.05)
simple("layer_norm_epsilon as text", ("config.json", "layer_norm_epsilon"), layer_norm_epsilon="1e-5")


@case("sizes by their other names")
def _(d):
    for name, other in (("n_embd", "hidden_size"), ("n_layer", "num_hidden_layers"),
                        ("n_head", "num_attention_heads"), ("n_positions", "max_position_embeddings")):
        d.config[other] = d.config.pop(name)


@case("a size is missing", ("config.json", "n_head is missing"))
def _(d):
    del d.config["n_head"]


# tensors

def bare(name):
    return name.removeprefix("transformer.")


case("names without a prefix")(lambda d: d.rename(bare))
for prefix in ("module.", "model.", "_orig_mod.", "module._orig_mod."):
    case(f"names with {prefix}", twin=nothing)(lambda d, p=prefix: d.rename(lambda name: p + name))
case("names with module. and no transformer.", twin=nothing)(
    lambda d: d.rename(lambda name: "module." + bare(name)))


@case("names with and without a prefix", unlike_4="it leaves out those that differ from the first")
def _(d):
    names = iter(range(1000))
    d.rename(lambda name: bare(name) if next(names) % 2 else name)


TABLE, HEAD = "transformer.wte.weight", "lm_head.weight"


@case("a head alone", unlike_4="it cannot load such a file")
def _(d):
    d.rename(lambda name: HEAD if name == TABLE else name)


@case("a head alone, with the other name in the metadata", unlike_4="it cannot load such a file")
def _(d):
    d.rename(lambda name: HEAD if name == TABLE else name)
    d.metadata[TABLE] = HEAD


@case("table and head, equal")
def _(d):
    d.tensors[HEAD] = d.tensors[TABLE].copy()


@case("table and head, different though tied", "lm_head.weight differs from wte.weight")
def _(d):
    d.tensors[HEAD] = d.tensors[TABLE][::-1].copy()


@case("a head of its own")
def _(d):
    d.tensors[HEAD] = d.tensors[TABLE][::-1].copy()
    d.config["tie_word_embeddings"] = False


@case("a head of its own that is missing", "lm_head.weight is missing")
def _(d):
    d.config["tie_word_embeddings"] = False


def equal_head(d):
    d.tensors[HEAD] = d.tensors[TABLE].copy()
    d.config["tie_word_embeddings"] = False


@case("a head of its own that is the table by the metadata", twin=equal_head)
def _(d):
    d.config["tie_word_embeddings"] = False
    d.metadata[HEAD] = TABLE


@case("masks, other heads and a bias of the head")
def _(d):
    d.tensors |= {"transformer.h.0.attn.bias": np.tril(np.ones((1, 1, CONTEXT, CONTEXT), np.uint8)),
                  "transformer.h.0.attn.masked_bias": np.array(-1e4, np.float32),
                  "score.weight": np.zeros((2, WIDTH), np.float32),
                  "multiple_choice_head.summary.weight": np.zeros((1, WIDTH), np.float32),
                  "v_head.summary.bias": np.zeros(1, np.float32)}


case("several files")(lambda d: setattr(d, "shards", 3))


@case("a tensor is missing", "ln_f.bias is missing")
def _(d):
    del d.tensors["transformer.ln_f.bias"]


@case("more blocks than n_layer", "n_layer is 1")
def _(d):
    d.config["n_layer"] = 1


@case("what LoRA leaves", ("model.safetensors", "lora_A"))
def _(d):
    d.tensors["transformer.h.0.attn.c_attn.lora_A.default.weight"] = np.zeros((2, WIDTH), np.float32)


@case("what PEFT wraps", ("model.safetensors", "base_layer"))
def _(d):
    d.rename(lambda name: name.replace("c_attn.", "c_attn.base_layer."))


@case("an adapter beside the model", "adapter_config.json")
def _(d):
    d.files["adapter_config.json"] = {"peft_type": "LORA", "base_model_name_or_path": "gpt2"}


@case("16-bit weights")
def _(d):
    d.tensors = {name: value.astype(np.float16) for name, value in d.tensors.items()}
    d.config["dtype"] = "float32"


@case("64-bit weights", ("model.safetensors", "F64"))
def _(d):
    d.tensors = {name: value.astype(np.float64) for name, value in d.tensors.items()}
