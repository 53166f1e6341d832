"""tiktoken and Hugging Face tokenizers with GPT-2's vocabulary, on one thread."""
# SPDX-License-Identifier: Apache-2.0

import json
import time

# GPT-2's own, written so that tiktoken's engine is quickest with it.
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
END_OF_TEXT = "<|endoftext|>"


class Engine:
    def __init__(self, directory, name):
        if name == "tiktoken":
            self.function = tiktoken_encoding(directory).encode_ordinary
        else:
            import tokenizers
            from tokenizers.models import BPE
            from tokenizers.pre_tokenizers import ByteLevel

            encoding = tokenizers.Tokenizer(BPE.from_file(
                str(directory / "vocab.json"), str(directory / "merges.txt")))
            encoding.pre_tokenizer = ByteLevel(add_prefix_space=False)
            self.function = lambda text: encoding.encode(text).ids

    def encode(self, path):
        """Seconds for the whole file, and how many tokens it has."""
        text = open(path, encoding="utf-8", newline="").read()
        start = time.perf_counter()
        ids = self.function(text)
        return time.perf_counter() - start, len(ids)


def tiktoken_encoding(directory):
    import tiktoken

    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(byte): byte for byte in printable}
    byte_of.update({chr(256 + index): byte for index, byte in enumerate(others)})
    ids = json.loads((directory / "vocab.json").read_text(encoding="utf-8"))
    ranks = {bytes(byte_of[character] for character in token): rank
             for token, rank in ids.items() if token != END_OF_TEXT}
    return tiktoken.Encoding("gpt2", pat_str=PATTERN, mergeable_ranks=ranks,
                             special_tokens={END_OF_TEXT: ids[END_OF_TEXT]})
