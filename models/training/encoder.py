"""The encoder as an ONNX graph, built straight from a BERT checkpoint's safetensors.

It takes no torch, and gives the same bytes every time.

Weights are int8, sums are fp32: every matrix of the linear layers is stored as int8 with one scale per output channel
behind a `DequantizeLinear`, which ONNX Runtime folds to fp32 when it loads the graph; word embeddings are int8 with one
scale per row and are looked up first, dequantised after. Nothing is quantised by looking at the activations, since that
would let a text's answer depend on the texts it shares a batch with.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

OPSET = 20  # the first with Gelu as one operator
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EncoderShape:
    """The sizes that the graph needs from the checkpoint's config.json."""

    hidden: int
    heads: int
    layers: int
    epsilon: float

    @classmethod
    def read(cls, folder: Path) -> "EncoderShape":
        """Reads `config.json` of a BERT checkpoint. Raises ValueError for another architecture."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if config["model_type"] != "bert" or config["hidden_act"] != "gelu":
            raise ValueError(f"{folder}: a BERT encoder with gelu is needed, not {config['model_type']}")
        return cls(
            hidden=config["hidden_size"],
            heads=config["num_attention_heads"],
            layers=config["num_hidden_layers"],
            epsilon=config["layer_norm_eps"],
        )


class Graph:
    """Collects nodes and weights; every method returns the name of the tensor it makes."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        """A weight stored as it is."""
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def numbers(self, name: str, values: Sequence[int]) -> str:
        """Axes, sizes and shapes."""
        return self.constant(name, np.array(values, dtype=np.int64))

    def node(self, operator: str, inputs: Sequence[str], name: str, **attributes: object) -> str:
        """One operator with one output."""
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def linear(self, inputs: str, weight: Array, bias: Array, name: str) -> str:
        """`inputs @ weight + bias`, weight of shape [in, out] stored as int8 per output channel."""
        quantised, scale = quantise(weight, axis=0)
        matrix = self.node(
            "DequantizeLinear",
            [self.constant(f"{name}.int8", quantised), self.constant(f"{name}.scale", scale.ravel())],
            f"{name}.weight",
            axis=1,
        )
        product = self.node("MatMul", [inputs, matrix], f"{name}.product")
        return self.node("Add", [product, self.constant(f"{name}.bias", bias)], name)

    def normalised(self, inputs: str, scale: Array, bias: Array, epsilon: float, name: str) -> str:
        """Layer normalisation over the last axis."""
        names = [inputs, self.constant(f"{name}.gamma", scale), self.constant(f"{name}.beta", bias)]
        return self.node("LayerNormalization", names, name, axis=-1, epsilon=epsilon)


def quantise(weight: Array, axis: int) -> tuple[npt.NDArray[np.int8], Array]:
    """Symmetric int8 with one scale along `axis` (the one that is summed away); weight is about int8 * scale."""
    scale = np.maximum(np.abs(weight).max(axis=axis, keepdims=True) / 127.0, 1e-12).astype(np.float32)
    return np.clip(np.rint(weight / scale), -127, 127).astype(np.int8), scale


def build(base: Path, layers: Sequence[int], max_tokens: int) -> tuple[Graph, int]:
    """The graph from `input_ids` and `attention_mask` to the tensor `hidden`, [batch, length, size]; and that size.

    `layers` are the layers kept, in order. Positions beyond `max_tokens` (and its padding to a multiple of 8) are left
    out.
    """
    shape = EncoderShape.read(base)
    weights = {
        name.removeprefix("bert."): value.astype(np.float32)
        for name, value in load_file(base / "model.safetensors").items()
    }
    graph = Graph()
    hidden = _embeddings(graph, weights, shape, max_tokens)
    # 0 where there is a token, a number that softmax turns into exactly 0 where there is padding
    graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    absent = graph.node("Sub", ["mask", graph.constant("one", np.array([1.0], dtype=np.float32))], "absent")
    scaled = graph.node("Mul", [absent, graph.constant("large", np.array([1e9], dtype=np.float32))], "absent.large")
    bias = graph.node("Unsqueeze", [scaled, graph.numbers("axes.bias", [1, 2])], "attention.bias")
    for layer in layers:
        hidden = _layer(graph, weights, shape, hidden, bias, layer)
    graph.node("Identity", [hidden], "hidden")
    return graph, shape.hidden


def add_mean(graph: Graph, tokens: str, result: str) -> None:
    """Adds `result`, [batch, size]: the mean of `tokens`, [batch, length, size], over each text's own tokens.

    Made of one matrix product per text, which is computed in the same order whatever the batch; a sum over an axis of
    the whole batch isn't (its last bits differ for a batch of one).
    """
    axis = graph.numbers("axis.tokens", [1])
    count = graph.node("ReduceSum", ["mask", axis], "count", keepdims=1)
    share = graph.node("Div", ["mask", count], "share")
    row = graph.node("Unsqueeze", [share, axis], "share.row")
    mean = graph.node("MatMul", [row, tokens], f"{result}.row")
    graph.node("Squeeze", [mean, axis], result)


def add_heads(graph: Graph, heads: Mapping[str, tuple[Array, Array]]) -> None:
    """Adds one output per head: the mean over the tokens of `hidden @ weight + bias`, equal to the head of the mean.

    weight is [size, labels], bias [labels]; both stay fp32, they are small. All heads are one product over the tokens:
    a product over the texts would be computed another way when there is only one text.
    """
    weight = np.concatenate([weight for weight, _ in heads.values()], axis=1)
    bias = np.concatenate([bias for _, bias in heads.values()])
    product = graph.node("MatMul", ["hidden", graph.constant("heads.weight", weight)], "heads.product")
    tokens = graph.node("Add", [product, graph.constant("heads.bias", bias)], "heads.tokens")
    add_mean(graph, tokens, "heads")
    sizes = graph.numbers("heads.sizes", [len(bias) for _, bias in heads.values()])
    graph.nodes.append(helper.make_node("Split", ["heads", sizes], list(heads), name="heads.split", axis=1))


def _embeddings(graph: Graph, weights: dict[str, Array], shape: EncoderShape, max_tokens: int) -> str:
    words, scales = quantise(weights["embeddings.word_embeddings.weight"], axis=1)
    # every text is one segment, so the segment's vector can be a part of the position's
    positions = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    rows = graph.node("Gather", [graph.constant("words.int8", words), "input_ids"], "words.rows")
    row_scales = graph.node("Gather", [graph.constant("words.scale", scales), "input_ids"], "words.row_scales")
    numbers = graph.node("Cast", [rows], "words.numbers", to=TensorProto.FLOAT)
    vectors = graph.node("Mul", [numbers, row_scales], "words")
    sizes = graph.node("Shape", ["input_ids"], "sizes")
    length = graph.node("Gather", [sizes, graph.numbers("index.length", [1])], "length")
    start, axis = graph.numbers("zero", [0]), graph.numbers("axis.zero", [0])
    place = graph.node(
        "Slice", [graph.constant("positions", positions[: -(-max_tokens // 8) * 8]), start, length, axis], "places"
    )
    summed = graph.node("Add", [vectors, place], "embeddings.sum")
    gamma, beta = weights["embeddings.LayerNorm.weight"], weights["embeddings.LayerNorm.bias"]
    graph.numbers("shape.split", [0, 0, shape.heads, shape.hidden // shape.heads])
    graph.numbers("shape.join", [0, 0, shape.hidden])
    return graph.normalised(summed, gamma, beta, shape.epsilon, "embeddings")


def _layer(graph: Graph, weights: dict[str, Array], shape: EncoderShape, hidden: str, bias: str, layer: int) -> str:
    source, name = f"encoder.layer.{layer}", f"layer.{layer}"

    def dense(inputs: str, part: str) -> str:
        weight, offset = weights[f"{source}.{part}.weight"], weights[f"{source}.{part}.bias"]
        if part == "attention.self.query":  # the usual 1/sqrt(size of a head), paid once, when the graph is built
            factor = np.float32((shape.hidden / shape.heads) ** -0.5)
            weight, offset = weight * factor, offset * factor
        return graph.linear(inputs, weight.T, offset, f"{name}.{part}")

    def added(inputs: str, residual: str, part: str) -> str:
        gamma, beta = weights[f"{source}.{part}.LayerNorm.weight"], weights[f"{source}.{part}.LayerNorm.bias"]
        total = graph.node("Add", [inputs, residual], f"{name}.{part}.sum")
        return graph.normalised(total, gamma, beta, shape.epsilon, f"{name}.{part}.normalised")

    def split(part: str, order: list[int]) -> str:
        apart = graph.node("Reshape", [dense(hidden, part), "shape.split"], f"{name}.{part}.apart")
        return graph.node("Transpose", [apart], f"{name}.{part}.heads", perm=order)

    query, value = split("attention.self.query", [0, 2, 1, 3]), split("attention.self.value", [0, 2, 1, 3])
    key = split("attention.self.key", [0, 2, 3, 1])
    scores = graph.node("Add", [graph.node("MatMul", [query, key], f"{name}.scores"), bias], f"{name}.masked")
    shares = graph.node("Softmax", [scores], f"{name}.shares", axis=-1)
    mixed = graph.node("MatMul", [shares, value], f"{name}.mixed")
    together = graph.node("Transpose", [mixed], f"{name}.together", perm=[0, 2, 1, 3])
    joined = graph.node("Reshape", [together, "shape.join"], f"{name}.joined")
    attended = added(dense(joined, "attention.output.dense"), hidden, "attention.output")
    grown = graph.node("Gelu", [dense(attended, "intermediate.dense")], f"{name}.gelu")
    return added(dense(grown, "output.dense"), attended, "output")


def model(graph: Graph, outputs: dict[str, int], description: str) -> onnx.ModelProto:
    """The finished, checked model: inputs `input_ids` and `attention_mask`, int64 [batch, length]; fp32 outputs of
    the given widths, [batch, width]."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", n]) for name, n in outputs.items()]
    proto = helper.make_model(
        helper.make_graph(graph.nodes, "voz-signals", inputs, results, graph.weights, doc_string=description),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=10,
        producer_name="voz",
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto
