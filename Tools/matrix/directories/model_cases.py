"""Cases about end marks, config.json, generation_config.json and the names of tensors."""
# SPDX-License-Identifier: Apache-2.0

import numpy as np

from .case import END, case, nothing, simple
from .directory import CONTEXT, WIDTH

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
