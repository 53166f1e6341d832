"""Writes the trained network as a Hugging Face directory."""
# SPDX-License-Identifier: Apache-2.0

import json
import math

from card import GREEDY_TOKENS, SAMPLE_TEMPERATURE, SAMPLE_TOKENS, model_card
from sizes import END_OF_TEXT, GEOMETRY, LAYER_NORM_EPSILON, RESIDUAL_SCALE, SEED
from train import evaluate

SAMPLE_PROMPT = "ROMEO:\n"


def generate(torch, network, tokenizer, prompt, count, temperature):
    """Continues `prompt` by at most `count` tokens; temperature 0 takes the likeliest token."""
    tokens = tokenizer.encode(prompt).ids
    end = tokenizer.token_to_id(END_OF_TEXT)
    generator = torch.Generator().manual_seed(SEED)
    network.eval()
    with torch.no_grad():
        for _ in range(min(count, GEOMETRY["n_positions"] - len(tokens))):
            logits = network(torch.tensor([tokens]))[0, -1]
            if temperature == 0:
                token = int(logits.argmax())
            else:
                likelihoods = torch.softmax(logits / temperature, dim=-1)
                token = int(torch.multinomial(likelihoods, 1, generator=generator))
            if token == end:
                break
            tokens.append(token)
    return tokenizer.decode(tokens, skip_special_tokens=False)


def scale_residual_stream(torch, network):
    """Multiplies what the residual stream carries by `RESIDUAL_SCALE`.

    Every layer norm divides the factor out again, and the last one's weights are divided by it, since
    the head shares the token table. Only the layer norms' epsilon makes a difference.
    """
    state = network.state_dict()
    written = (".c_proj.weight", ".c_proj.bias", "wte.weight", "wpe.weight")
    with torch.no_grad():
        for name, tensor in state.items():
            if name.endswith(written):
                tensor.mul_(RESIDUAL_SCALE)
            elif name.startswith("ln_f."):
                tensor.div_(RESIDUAL_SCALE)


def export(torch, network, tokenizer, vocabulary, merges, validation_text, record, facts, out):
    """Writes the Hugging Face directory and its card; the card's numbers are those of the rounded
    weights, since they are what a reader of the directory gets."""
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    validation = torch.tensor(tokenizer.encode(validation_text).ids)
    exact_nats, count = evaluate(torch, network, validation)
    scale_residual_stream(torch, network)
    rounded = {name: tensor.half() for name, tensor in network.state_dict().items()}
    network.load_state_dict({name: tensor.float() for name, tensor in rounded.items()})
    nats, _ = evaluate(torch, network, validation)

    tensors = {f"transformer.{name}": tensor.contiguous() for name, tensor in rounded.items()}
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    end = vocabulary[END_OF_TEXT]
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        **GEOMETRY,
        "n_ctx": GEOMETRY["n_positions"],
        "n_inner": None,
        "layer_norm_epsilon": LAYER_NORM_EPSILON,
        "initializer_range": 0.02,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "tie_word_embeddings": True,
        "scale_attn_weights": True,
        "use_cache": True,
        "bos_token_id": end,
        "eos_token_id": end,
        "torch_dtype": "float16",
    }
    tokenizer_config = {
        "tokenizer_class": "GPT2Tokenizer",
        "model_max_length": GEOMETRY["n_positions"],
        "add_prefix_space": False,
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "unk_token": END_OF_TEXT,
    }
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (out / "tokenizer_config.json").write_text(json.dumps(tokenizer_config, indent=2) + "\n")
    (out / "vocab.json").write_text(
        json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
    )
    (out / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges), encoding="utf-8"
    )
    tokenizer.save(str(out / "tokenizer.json"))
    (out / "validation.txt").write_bytes(validation_text.encode())

    sample = generate(
        torch, network, tokenizer, SAMPLE_PROMPT, SAMPLE_TOKENS, SAMPLE_TEMPERATURE
    )
    greedy = generate(torch, network, tokenizer, SAMPLE_PROMPT, GREEDY_TOKENS, 0)
    scored = len(validation_text.replace(END_OF_TEXT, "").encode())
    facts = facts | {
        "parameters": sum(tensor.numel() for tensor in rounded.values()),
        "validation_tokens": count + 1,
        "validation_bytes": scored,
        "exact": exact_nats / count,
        "nats": nats / count,
        "bits": nats / math.log(2) / scored,
        "perplexity": math.exp(nats / count),
    }
    card = model_card(record, facts, sample, greedy)
    (out / "README.md").write_text(card, encoding="utf-8")
    print(sample, "\n---\n" + greedy, flush=True)
    print(
        f"\nvalidation {facts['nats']:.4f} nats/token, {facts['bits']:.4f} bits/byte,"
        f" perplexity {facts['perplexity']:.2f}; before rounding {facts['exact']:.4f}",
        flush=True,
    )
