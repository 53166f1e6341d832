"""OpenVINO, with a stateful graph written by hand: its CPU plugin fuses the cache into the attention.

int8 and int4: weights by NNCF, activations on the fly in groups of 32, and keys and values in 8 bits, as
is its default there.
"""
# SPDX-License-Identifier: Apache-2.0

from bench.peers.common import CONTEXT, Stepwise, configuration, made_whole, weights


class Engine(Stepwise):
    # The state can only be emptied.
    can_truncate = False

    def __init__(self, root, model, variant):
        import numpy
        import openvino

        self.library, self.numpy, self.variant = openvino, numpy, variant
        self.directory = root / "models" / model
        file = "f32" if variant == "bf16" else variant
        self.path = root / "ov" / f"{model}.{file}.xml"

    def prepare(self):
        if self.path.exists():
            return
        model = graph(self.directory)
        if self.variant == "int8":
            import nncf

            model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
        elif self.variant == "int4":
            import nncf

            model = nncf.compress_weights(
                model, mode=nncf.CompressWeightsMode.INT4_SYM, group_size=32, all_layers=True)
        with made_whole(self.path) as path:
            self.library.save_model(model, path, compress_to_fp16=False)

    def load(self):
        numpy = self.numpy
        settings = {
            "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": "bf16" if self.variant == "bf16" else "f32",
            "KV_CACHE_PRECISION": {"f32": "f32", "bf16": "bf16"}.get(self.variant, "u8"),
        }
        if self.variant.startswith("int"):
            settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = "32"
        compiled = self.library.Core().compile_model(self.path, "CPU", settings)
        self.request = compiled.create_infer_request()
        self.beam = numpy.zeros(1, numpy.int32)
        self.nothing = numpy.zeros((1, 1, 1, CONTEXT), numpy.float32)
        self.causal = numpy.triu(
            numpy.full((1, 1, CONTEXT, CONTEXT), -numpy.inf, numpy.float32), 1)
        self.positions = 0

    def run(self, ids):
        numpy, start, end = self.numpy, self.positions, self.positions + len(ids)
        mask = (self.nothing[..., :end] if len(ids) == 1
                else numpy.ascontiguousarray(self.causal[..., start:end, :end]))
        self.request.infer(
            {"ids": numpy.array([ids], numpy.int64), "mask": mask, "beam": self.beam,
             "positions": numpy.arange(start, end, dtype=numpy.int64)[None]},
            share_inputs=True, share_outputs=True)
        self.positions = end

    def truncate(self, count):
        self.request.reset_state()
        self.positions = 0


def graph(directory):
    import numpy
    import openvino
    from openvino import opset6, opset13 as op

    config, tensors = configuration(directory), weights(directory)
    heads, size = config["n_head"], config["n_embd"] // config["n_head"]

    def constant(values, kind=numpy.float32):
        return op.constant(numpy.array(values, dtype=kind, order="C"))

    def indices(*values):
        return constant(values, numpy.int64)

    def parameter(name, shape, kind):
        made = op.parameter(shape, kind, name=name)
        made.output(0).get_tensor().set_names({name})
        return made

    def layer_norm(x, name):
        normal = op.mvn(x, indices(-1), True, 1e-5, "inside_sqrt")
        scaled = op.multiply(normal, constant(tensors[name + ".weight"][None, None]))
        return op.add(scaled, constant(tensors[name + ".bias"][None, None]))

    def linear(x, name):
        product = op.matmul(x, constant(tensors[name + ".weight"].T), False, True)
        return op.add(product, constant(tensors[name + ".bias"][None, None]))

    ids = parameter("ids", [1, -1], numpy.int64)
    positions = parameter("positions", [1, -1], numpy.int64)
    mask = parameter("mask", [1, 1, -1, -1], numpy.float32)
    beam = parameter("beam", [1], numpy.int32)
    states = []

    def cached(new, name):
        empty = constant(numpy.zeros((1, heads, 0, size)))
        shape = openvino.PartialShape([1, heads, -1, size])
        past = opset6.read_value(empty, name, numpy.float32, shape)
        both = op.concat([op.gather(past, beam, constant(0, numpy.int64)), new], 2)
        states.append(opset6.assign(both, name))
        return both

    first = constant(0, numpy.int64)
    table = constant(tensors["wte.weight"])
    x = op.add(op.gather(table, ids, first),
               op.gather(constant(tensors["wpe.weight"]), positions, first))
    for layer in range(config["n_layer"]):
        name = f"h.{layer}."
        projected = linear(layer_norm(x, name + "ln_1"), name + "attn.c_attn")
        query, key, value = (
            op.transpose(op.reshape(part, indices(0, 0, heads, size), True), indices(0, 2, 1, 3))
            for part in op.split(projected, constant(2, numpy.int64), 3).outputs())
        attended = op.scaled_dot_product_attention(
            query, cached(key, f"k{layer}"), cached(value, f"v{layer}"), mask)
        joined = op.reshape(op.transpose(attended, indices(0, 2, 1, 3)),
                            indices(0, 0, heads * size), True)
        x = op.add(x, linear(joined, name + "attn.c_proj"))
        wide = op.gelu(linear(layer_norm(x, name + "ln_2"), name + "mlp.c_fc"), "tanh")
        x = op.add(x, linear(wide, name + "mlp.c_proj"))
    row = layer_norm(op.gather(x, indices(-1), constant(1, numpy.int64)), "ln_f")
    result = op.result(op.matmul(row, table, False, True))
    return openvino.Model([result], states, [ids, positions, mask, beam], directory.name)
