"""What transformers makes of a directory, and what the worker makes of it, in one form."""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import subprocess
import warnings
from dataclasses import dataclass, field

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "critical")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
warnings.simplefilter("ignore")

import torch  # noqa: E402
import transformers  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

transformers.logging.set_verbosity(50)
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)

MAJOR = int(transformers.__version__.split(".")[0])
TOKENS = 9
# Two logits closer than this may change places between two ways of adding up.
CLOSE = 1e-3


@dataclass
class Answer:
    """`ids` by text and mode, `greedy` by prompt: ids and whether an end mark ended them."""
    failure: str | None = None
    ids: dict = field(default_factory=dict)
    greedy: dict = field(default_factory=dict)
    close: set = field(default_factory=set)


class Transformers:
    def ask(self, path, texts, prompts):
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(path), local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(str(path), local_files_only=True).float().eval()
        except Exception as error:  # noqa: BLE001: whatever a broken directory raises is its answer
            return Answer(failure=f"{type(error).__name__}: {str(error).strip().splitlines()[:1]}")
        answer = Answer()
        for text in texts:
            try:
                answer.ids[text, True] = tokenizer(text)["input_ids"]
                answer.ids[text, False] = self.plain(tokenizer, text)
            except BaseException as error:
                # The tokenizers' own code panics where tokens strip each other's spaces: nothing to compare.
                if type(error).__name__ != "PanicException":
                    raise
                answer.ids.pop((text, True), None)
        for prompt in prompts:
            ids = self.plain(tokenizer, prompt)
            if ids and max(ids) < model.config.vocab_size:
                answer.greedy[prompt], is_close = self.generate(model, ids, len(tokenizer))
                if is_close:
                    answer.close.add(prompt)
        return answer

    @staticmethod
    def rewrite(path):
        """Loads and saves everything, and gives the new place."""
        place = path.with_name(path.name + "-rewritten")
        AutoTokenizer.from_pretrained(str(path), local_files_only=True).save_pretrained(place)
        AutoModelForCausalLM.from_pretrained(str(path), local_files_only=True).save_pretrained(place)
        return place

    @staticmethod
    def plain(tokenizer, text):
        backend = tokenizer.backend_tokenizer
        before, backend.encode_special_tokens = backend.encode_special_tokens, True
        try:
            backend.no_truncation()
            backend.no_padding()
            return backend.encode(text, add_special_tokens=True).ids
        finally:
            backend.encode_special_tokens = before

    @staticmethod
    @torch.inference_mode()
    def generate(model, ids, known):
        # Rows behind the tokenizer's last token are padding: the worker never chooses them.
        more = {}
        if known < model.config.vocab_size:
            more["suppress_tokens"] = list(range(known, model.config.vocab_size))
        out = model.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False,
            max_new_tokens=TOKENS, pad_token_id=0, output_scores=True, return_dict_in_generate=True, **more)
        found = out.sequences[0, len(ids):].tolist()
        margins = [float(best[0] - best[1]) for best in (s[0].topk(2).values for s in out.scores)]
        marks = model.generation_config.eos_token_id
        marks = marks if isinstance(marks, list) else [marks]
        has_ended = bool(found) and found[-1] in marks
        return (found[:-1] if has_ended else found, has_ended), min(margins) < CLOSE


class Worker:
    def __init__(self, binary):
        self.binary = str(binary)

    def run(self, *arguments, text=None):
        return subprocess.run(
            [self.binary, *map(str, arguments)], input=text, stdin=None if text else subprocess.DEVNULL,
            capture_output=True, timeout=120, check=False, env=os.environ | {"NO_COLOR": "1"})

    def ask(self, path, texts, prompts):
        answer = Answer()
        for prompt in prompts:
            done = self.run("generate", "--model", path, f"--prompt={prompt}", "--max-tokens", TOKENS,
                            "--temperature", 0, "--precision", "f32", "--json")
            if done.returncode != 0:
                answer.failure = failure(done)
                return answer
            end = json.loads(done.stdout.splitlines()[-1])
            answer.greedy[prompt] = (end["ids"], end["stop_reason"] == "EOS")
        for text in texts:
            for special in (True, False):
                done = self.run("tokenize", "--json", "--model", path, *["--special-tokens"] * special,
                                text=text.encode())
                answer.ids[text, special] = (
                    json.loads(done.stdout) if done.returncode == 0 else failure(done))
        return answer


def failure(done):
    """The one sentence; a process that ends in any other way is told apart by its first words."""
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode != 1 or not lines or not lines[-1].startswith("error: "):
        return f"status {done.returncode} without a sentence: {lines[-1:]}"
    return lines[-1]


def differences(expected, found):
    """Sentences; none where both agree. A tie of two logits is no difference."""
    told = []
    for (text, special), ids in expected.ids.items():
        if found.ids[text, special] != ids:
            mode = "special tokens" if special else "plain"
            told.append(f"{text!r} ({mode}): expected {ids}, found {found.ids[text, special]}")
    for prompt, end in expected.greedy.items():
        if prompt not in expected.close and tuple(found.greedy[prompt]) != tuple(end):
            told.append(f"after {prompt!r}: expected {end}, found {found.greedy[prompt]}")
    return told
