"""What llama.cpp does with a GGUF file: ids, end marks and the greedy answer. Run as a program, a file a process.

libllama comes with the Python package xllamacpp, whose extension exports the C API; of the API's structures only
what is named here is touched, so that their layout may change from version to version.
"""
# SPDX-License-Identifier: Apache-2.0

import ctypes
import importlib.metadata
import importlib.util
import json
import pathlib
import sys

PACKAGE, PROMPT, ANSWER_TOKENS, CONTEXT = "xllamacpp", "hello world", 8, 256


class Settings(ctypes.Structure):
    """Larger than any of the API's structures of settings, which are passed in memory; the first members of a
    context's are its sizes."""
    _fields_ = [("context", ctypes.c_uint32), ("batch", ctypes.c_uint32), ("part", ctypes.c_uint32),
                ("rest", ctypes.c_uint8 * 1012)]


class Batch(ctypes.Structure):
    _fields_ = [("count", ctypes.c_int32), ("tokens", ctypes.POINTER(ctypes.c_int32))] + [
        (name, ctypes.c_void_p) for name in ("embedding", "positions", "counts", "sequences", "logits")]


def load():
    folder = pathlib.Path(importlib.util.find_spec(PACKAGE).origin).parent
    library = ctypes.CDLL(str(next(folder.glob("*.so"))))
    pointer = ctypes.c_void_p
    for name, result, arguments in (
            ("llama_log_set", None, [pointer, pointer]),
            ("llama_model_default_params", Settings, []), ("llama_context_default_params", Settings, []),
            ("llama_model_load_from_file", pointer, [ctypes.c_char_p, Settings]),
            ("llama_init_from_model", pointer, [pointer, Settings]),
            ("llama_model_get_vocab", pointer, [pointer]),
            ("llama_vocab_n_tokens", ctypes.c_int32, [pointer]),
            ("llama_vocab_is_eog", ctypes.c_bool, [pointer, ctypes.c_int32]),
            ("llama_set_n_threads", None, [pointer, ctypes.c_int32, ctypes.c_int32]),
            ("llama_batch_get_one", Batch, [ctypes.POINTER(ctypes.c_int32), ctypes.c_int32]),
            ("llama_decode", ctypes.c_int32, [pointer, Batch]),
            ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), [pointer, ctypes.c_int32]),
            ("llama_tokenize", ctypes.c_int32,
             [pointer, ctypes.c_char_p, ctypes.c_int32, ctypes.POINTER(ctypes.c_int32), ctypes.c_int32,
              ctypes.c_bool, ctypes.c_bool])):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def answer(path, text):
    library, said = load(), []

    @ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    def keep(level, line, _):
        if level == 4:
            said.append(line.decode(errors="replace").strip())

    library.llama_log_set(keep, None)
    library.llama_backend_init()
    model = library.llama_model_load_from_file(str(path).encode(), library.llama_model_default_params())
    if not model:
        return {"refused": said[0] if said else ""}
    vocabulary = library.llama_model_get_vocab(model)
    count = library.llama_vocab_n_tokens(vocabulary)

    def ids(of, special):
        raw = of.encode()
        room = (ctypes.c_int32 * (len(raw) + 8))()
        number = library.llama_tokenize(vocabulary, raw, len(raw), room, len(room), False, special)
        return room[:number]

    settings = library.llama_context_default_params()
    settings.context = settings.batch = settings.part = CONTEXT
    context = library.llama_init_from_model(model, settings)
    library.llama_set_n_threads(context, 1, 1)
    batch, generated, margins, ended = ids(PROMPT, True), [], [], False
    prompt = list(batch)
    while len(generated) < ANSWER_TOKENS and not ended:
        room = (ctypes.c_int32 * len(batch))(*batch)
        if library.llama_decode(context, library.llama_batch_get_one(room, len(batch))):
            raise SystemExit("llama_decode failed")
        logits = library.llama_get_logits_ith(context, -1)[:count]
        best = max(range(count), key=logits.__getitem__)
        margins.append(round(logits[best] - max(v for i, v in enumerate(logits) if i != best), 4))
        ended = bool(library.llama_vocab_is_eog(vocabulary, best))
        if not ended:
            generated.append(best)
        batch = [best]
    return {"plain": ids(text, False), "special": ids(text, True), "prompt": prompt,
            "ends": [i for i in range(count) if library.llama_vocab_is_eog(vocabulary, i)],
            "answer": generated, "ended": ended, "margins": margins}


if __name__ == "__main__":
    print(json.dumps({"llama": f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"}
                     | answer(sys.argv[1], sys.stdin.read())))
