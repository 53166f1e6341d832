"""ONNX Runtime, with the graph written by hand in the operators its CPU provider is fastest at:
GroupQueryAttention with one buffer for past and present keys, FastGelu, weights that it packs at load.

int8: weights per column, activations on the fly per tensor. int8w and int4: MatMulNBits, blocks of 32,
activations as int8 (accuracy level 4).
"""
# SPDX-License-Identifier: Apache-2.0

from bench.peers.common import CONTEXT, VOCABULARY, Stepwise, configuration, made_whole, weights

MICROSOFT = "com.microsoft"


class Engine(Stepwise):
    def __init__(self, root, model, variant):
        import numpy
        import onnxruntime

        self.library, self.numpy, self.variant = onnxruntime, numpy, variant
        self.directory, self.folder, self.model = root / "models" / model, root / "onnx", model
        onnxruntime.set_default_logger_severity(3)

    def path(self, variant):
        return self.folder / f"{self.model}.{variant}.onnx"

    def prepare(self):
        if not self.path("f32").exists():
            with made_whole(self.path("f32")) as path:
                save(graph(self.directory), path)
        if not self.path(self.variant).exists():
            with made_whole(self.path(self.variant)) as path:
                quantize(self.path("f32"), path, self.variant)

    def load(self):
        config, library = configuration(self.directory), self.library
        options = library.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = library.InferenceSession(
            str(self.path(self.variant)), options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        shape = (1, config["n_head"], CONTEXT, config["n_embd"] // config["n_head"])
        self.values = []
        for layer in range(config["n_layer"]):
            for kind in "kv":
                value = self.zeros(shape)
                self.binding.bind_ortvalue_input(f"past_{kind}{layer}", value)
                self.binding.bind_ortvalue_output(f"present_{kind}{layer}", value)
        self.binding.bind_ortvalue_output("logits", self.zeros((1, 1, VOCABULARY)))
        self.positions = 0

    def zeros(self, shape):
        array = self.numpy.zeros(shape, self.numpy.float32)
        self.values.append(self.library.OrtValue.ortvalue_from_numpy(array))
        return self.values[-1]

    def run(self, ids):
        numpy, binding, end = self.numpy, self.binding, self.positions + len(ids)
        binding.bind_cpu_input("ids", numpy.array([ids], numpy.int64))
        binding.bind_cpu_input("positions", numpy.arange(self.positions, end, dtype=numpy.int64)[None])
        binding.bind_cpu_input("last", numpy.array([end - 1], numpy.int32))
        binding.bind_cpu_input("total", numpy.array(end, numpy.int32))
        self.session.run_with_iobinding(binding)
        self.positions = end

    def truncate(self, count):
        self.positions = count


def save(model, path):
    import onnx

    onnx.save_model(model, path, save_as_external_data=True, location=path.name + ".data")


def quantize(source, path, variant):
    import onnx

    if variant == "int8":
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(
            source, path, op_types_to_quantize=["MatMul"], per_channel=True,
            weight_type=QuantType.QInt8, use_external_data_format=True,
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT})
    else:
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

        quantizer = MatMulNBitsQuantizer(
            onnx.load(source), bits={"int4": 4, "int8w": 8}[variant], block_size=32,
            is_symmetric=True, accuracy_level=4)
        quantizer.process()
        save(quantizer.model.model, path)


class Builder:
    """Nodes and constants of a graph, in order."""

    def __init__(self, tensors):
        self.tensors, self.nodes, self.constants = tensors, [], []

    def constant(self, name, array):
        import numpy
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(numpy.ascontiguousarray(array), name))
        return name

    def node(self, kind, inputs, *outputs, domain="", **attributes):
        from onnx import helper

        self.nodes.append(helper.make_node(
            kind, inputs, list(outputs), name=outputs[0], domain=domain, **attributes))
        return outputs[0]

    def layer_norm(self, x, name):
        weight = self.constant(name + ".weight", self.tensors[name + ".weight"])
        bias = self.constant(name + ".bias", self.tensors[name + ".bias"])
        return self.node("LayerNormalization", [x, weight, bias], name + ".out", axis=-1, epsilon=1e-5)

    def linear(self, x, name, activation="Add", domain=""):
        weight = self.constant(name + ".weight", self.tensors[name + ".weight"])
        bias = self.constant(name + ".bias", self.tensors[name + ".bias"])
        product = self.node("MatMul", [x, weight], name + ".product")
        return self.node(activation, [product, bias], name + ".out", domain=domain)


def graph(directory):
    import numpy
    from onnx import TensorProto, helper

    config, tensors = configuration(directory), weights(directory)
    heads, build = config["n_head"], Builder(tensors)
    cache = [1, heads, "capacity", config["n_embd"] // heads]
    inputs = [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "length"]),
              helper.make_tensor_value_info("positions", TensorProto.INT64, [1, "length"]),
              helper.make_tensor_value_info("last", TensorProto.INT32, [1]),
              helper.make_tensor_value_info("total", TensorProto.INT32, [])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 1, VOCABULARY])]
    table = build.constant("wte", tensors["wte.weight"])
    places = build.constant("wpe", tensors["wpe.weight"])
    x = build.node("Add", [build.node("Gather", [table, "ids"], "tokens"),
                           build.node("Gather", [places, "positions"], "places")], "embedded")
    for layer in range(config["n_layer"]):
        name = f"h.{layer}."
        for kind in "kv":
            inputs.append(helper.make_tensor_value_info(
                f"past_{kind}{layer}", TensorProto.FLOAT, cache))
            outputs.append(helper.make_tensor_value_info(
                f"present_{kind}{layer}", TensorProto.FLOAT, cache))
        projected = build.linear(build.layer_norm(x, name + "ln_1"), name + "attn.c_attn")
        attended = build.node(
            "GroupQueryAttention",
            [projected, "", "", f"past_k{layer}", f"past_v{layer}", "last", "total"],
            name + "attended", f"present_k{layer}", f"present_v{layer}",
            domain=MICROSOFT, num_heads=heads, kv_num_heads=heads)
        x = build.node("Add", [x, build.linear(attended, name + "attn.c_proj")], name + "middle")
        wide = build.linear(build.layer_norm(x, name + "ln_2"), name + "mlp.c_fc",
                            activation="FastGelu", domain=MICROSOFT)
        x = build.node("Add", [x, build.linear(wide, name + "mlp.c_proj")], name + "end")
    final = build.constant("final", numpy.array([-1], numpy.int64))
    row = build.layer_norm(build.node("Gather", [x, final], "row", axis=1), "ln_f")
    build.node("MatMul", [row, build.constant("head", tensors["wte.weight"].T)], "logits")
    return helper.make_model(
        helper.make_graph(build.nodes, directory.name, inputs, outputs, build.constants),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)], ir_version=9)
