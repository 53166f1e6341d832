"""Cases about added tokens, special tokens and the settings of tokenizer_config.json."""
# SPDX-License-Identifier: Apache-2.0

from .case import END, SIZE, case, nothing, simple
from .directory import BYTE_LEVEL, MARK, added

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


for left in (False, True):
    for right in (False, True):
        @case(f"... that are a space, lstrip {left}, rstrip {right}")
        def _(d, left=left, right=right):
            d.resize(SIZE + 2)
            d.combined(tokens=[added(MARK, END), added(" ", SIZE, special=False, lstrip=left, rstrip=right),
                               added("<y>", SIZE + 1, special=False, rstrip=not left)])
            d.texts += ["a b  c   d\u3000e \u3000 <y>  \u3000 <y> \t b  ", f"  {MARK} \u2028 "]


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


# what transformers itself writes: version 5 no pair, version 4 everything

case("written by transformers: a plain model", rewritten=True)(nothing)


@case("written by transformers: tokenizer.json", rewritten=True)
def _(d):
    d.combined()


@case("written by transformers: added tokens", rewritten=True)
def _(d):
    d.resize(SIZE + 3)
    d.files["added_tokens.json"] = {"<u>": SIZE, "<|im_end|>": SIZE + 1}
    d.files["special_tokens_map.json"] = {"eos_token": "<|im_end|>", "pad_token": {
        "content": "[PAD]", "lstrip": False, "rstrip": True, "normalized": False, "single_word": False}}
    d.texts += [CHAT, "<u>[PAD]  <u>"]


@case("written by transformers: a prefix space and a list of special tokens", rewritten=True)
def _(d):
    d.resize(SIZE + 2)
    d.files["tokenizer_config.json"] = {
        "add_prefix_space": True, "additional_special_tokens": ["<one>", "<two>"], "model_max_length": 64}
    d.texts += ["one<one> two<two>"]


@case("written by transformers: a head of its own, two end marks", rewritten=True)
def _(d):
    d.speak(5, 6, 7, END, 8)
    d.config["eos_token_id"] = [7, END]


@case("written by transformers: PreTrainedTokenizerFast", rewritten=True)
def _(d):
    d.combined()
    d.files["tokenizer_config.json"] = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": MARK}
