"""Cases about the vocabulary: which files there are, and the steps of a tokenizer.json."""
# SPDX-License-Identifier: Apache-2.0

import json

from .case import END, SIZE, case, nothing
from .directory import BYTE_LEVEL, MARK, MERGES, tokenizer_json, vocabulary

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
