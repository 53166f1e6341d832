"""llama.cpp, through libllama's C API as llama-cpp-python binds it."""
# SPDX-License-Identifier: Apache-2.0

from bench.peers.common import CONTEXT, Stepwise, configuration, made_whole, weights

# Matrices are [in, out] in the checkpoint and [out, in] in the file.
NAMES = {"ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
         "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}
END_OF_TEXT = "<|endoftext|>"


class Engine(Stepwise):
    def __init__(self, root, model, variant):
        import llama_cpp

        self.library, self.variant = llama_cpp, variant
        self.directory, self.folder, self.model = root / "models" / model, root / "gguf", model
        # Kept, or the callback would be freed under the library.
        self.silence = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(self.silence, None)
        llama_cpp.llama_backend_init()

    def path(self, variant):
        return self.folder / f"{self.model}.{variant}.gguf"

    def prepare(self):
        if self.path(self.variant).exists():
            return
        if self.variant in ("f32", "f16", "bf16"):
            with made_whole(self.path(self.variant)) as path:
                write(self.directory, path, self.variant)
            return
        self.prepare_f32()
        library = self.library
        parameters = library.llama_model_quantize_default_params()
        parameters.nthread = 1
        parameters.ftype = {"q8_0": library.LLAMA_FTYPE_MOSTLY_Q8_0,
                            "q4_0": library.LLAMA_FTYPE_MOSTLY_Q4_0,
                            "q4_0pure": library.LLAMA_FTYPE_MOSTLY_Q4_0}[self.variant]
        # Else the head, which is the token table, is kept in Q6_K.
        parameters.pure = self.variant.endswith("pure")
        with made_whole(self.path(self.variant)) as path:
            source = str(self.path("f32")).encode()
            if library.llama_model_quantize(source, str(path).encode(), parameters):
                raise RuntimeError(f"llama_model_quantize does not make {self.variant}")

    def prepare_f32(self):
        if not self.path("f32").exists():
            with made_whole(self.path("f32")) as path:
                write(self.directory, path, "f32")

    def load(self):
        library = self.library
        parameters = library.llama_model_default_params()
        parameters.n_gpu_layers = 0
        path = self.path(self.variant)
        self.loaded = library.llama_model_load_from_file(str(path).encode(), parameters)
        if not self.loaded:
            raise RuntimeError(f"libllama does not load {path.name}")
        settings = library.llama_context_default_params()
        settings.n_ctx = settings.n_batch = CONTEXT
        settings.n_threads = settings.n_threads_batch = 1
        settings.no_perf = True
        self.context = library.llama_init_from_model(self.loaded, settings)
        if not self.context:
            raise RuntimeError("libllama makes no context")
        self.batch = library.llama_batch_init(CONTEXT, 0, 1)
        self.memory = library.llama_get_memory(self.context)
        self.positions = 0

    def run(self, ids):
        batch = self.batch
        batch.n_tokens = len(ids)
        for index, token in enumerate(ids):
            batch.token[index] = token
            batch.pos[index] = self.positions + index
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = 0
            batch.logits[index] = index == len(ids) - 1
        if self.library.llama_decode(self.context, batch):
            raise RuntimeError("llama_decode failed")
        self.library.llama_synchronize(self.context)
        self.positions += len(ids)

    def truncate(self, count):
        self.library.llama_memory_seq_rm(self.memory, 0, count, -1)
        self.positions = count


def write(directory, path, kind):
    """The checkpoint as a GGUF file; `kind` is how its matrices are stored."""
    import gguf
    import numpy

    config, tensors = configuration(directory), weights(directory)
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_name(directory.name)
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(config.get("n_inner") or 4 * config["n_embd"])
    writer.add_block_count(config["n_layer"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_file_type({"f32": gguf.LlamaFileType.ALL_F32, "f16": gguf.LlamaFileType.MOSTLY_F16,
                          "bf16": gguf.LlamaFileType.MOSTLY_BF16}[kind])
    add_vocabulary(writer, directory)

    def add(name, tensor, matrix=False):
        tensor = numpy.ascontiguousarray(tensor, dtype=numpy.float32)
        if matrix and kind == "f16":
            writer.add_tensor(name, tensor.astype(numpy.float16))
        elif matrix and kind == "bf16":
            stored = gguf.GGMLQuantizationType.BF16
            writer.add_tensor(name, gguf.quants.quantize(tensor, stored), raw_dtype=stored)
        else:
            writer.add_tensor(name, tensor)

    add("token_embd.weight", tensors["wte.weight"], matrix=True)
    add("position_embd.weight", tensors["wpe.weight"])
    add("output_norm.weight", tensors["ln_f.weight"])
    add("output_norm.bias", tensors["ln_f.bias"])
    for layer in range(config["n_layer"]):
        for ours, theirs in NAMES.items():
            weight = tensors[f"h.{layer}.{ours}.weight"]
            add(f"blk.{layer}.{theirs}.weight", weight.T, matrix=weight.ndim == 2)
            add(f"blk.{layer}.{theirs}.bias", tensors[f"h.{layer}.{ours}.bias"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_vocabulary(writer, directory):
    import json

    ids = json.loads((directory / "vocab.json").read_text(encoding="utf-8"))
    tokens = sorted(ids, key=ids.get)
    lines = (directory / "merges.txt").read_text(encoding="utf-8").split("\n")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token == END_OF_TEXT else 1 for token in tokens])
    writer.add_token_merges([line for line in lines if line and not line.startswith("#version")])
    writer.add_bos_token_id(ids[END_OF_TEXT])
    writer.add_eos_token_id(ids[END_OF_TEXT])
