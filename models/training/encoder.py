"""The encoder as an ONNX graph of ONNX Runtime, built straight from its weights.

It takes no torch, and gives the same bytes every time.

Matrix products are of integers: weights are int8 with one scale per output channel, inputs are uint8 on grids found
beforehand on real text (static quantisation). A few channels of the inputs are many times as large as the others; each
is divided by the root of its size, and its weights are multiplied by it, so that one grid fits all (SmoothQuant, Xiao
et al., ICML 2023). Nothing is quantised by looking at the activations of a batch, since that would let a text's answer
depend on the texts it shares the batch with. Sums of integers are exact. Weights use 7 of their 8 bits: processors
without VNNI add pairs of products in 16 bits, which 8 bits could overflow. Word embeddings are int8 with one scale per
row, and are looked up first, dequantised after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20  # the first with Gelu as one operator
RUNTIME = "com.microsoft"  # operators of ONNX Runtime's own: products of integers with scales and bias in one
Array = npt.NDArray[np.float32]
Weights = Mapping[str, Array]
Ranges = Mapping[str, tuple[Array, Array]]


@dataclass(frozen=True)
class EncoderShape:
    """The sizes of a BERT encoder with exact GELU."""

    hidden: int
    heads: int
    layers: int
    epsilon: float


class Graph:
    """Collects nodes and weights; every method returns the name of the tensor it makes."""

    def __init__(self, ranges: Ranges | None) -> None:
        """ranges: module -> lowest and highest value of each channel of its input, [in]; without them, sums are of fp32
        numbers."""
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._ranges = ranges
        self._divisors: dict[str, Array] = {}

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

    def linear(self, inputs: str, weight: Array, bias: Array, name: str, module: str) -> str:
        """`inputs @ weight + bias`, weight of shape [in, out]."""
        offset = self.constant(f"{name}.bias", bias)
        if self._ranges is None:
            return self.node(
                "Add",
                [self.node("MatMul", [inputs, self.constant(f"{name}.weight", weight)], f"{name}.product"), offset],
                name,
            )
        divisors = self._integers(inputs, *self._ranges[module])
        quantised, scale = quantise(weight * divisors[:, None], axis=0, most=63)
        arguments = [
            f"{inputs}.uint8",
            self.constant(f"{name}.int8", quantised),
            f"{inputs}.step",
            self.constant(f"{name}.scale", scale.ravel()),
            f"{inputs}.zero",
            self.constant(f"{name}.zero", np.zeros(scale.size, dtype=np.int8)),
            offset,
        ]
        return self.node("MatMulIntegerToFloat", arguments, name, domain=RUNTIME)

    def _integers(self, inputs: str, lowest: Array, highest: Array) -> Array:
        """Adds `inputs` as uint8, with `.step` and `.zero`; returns what each channel was divided by, [in]. Modules
        that read the same values share them."""
        if inputs not in self._divisors:
            divisors = np.sqrt(np.maximum(np.maximum(-lowest, highest), 1e-6)).astype(np.float32)
            low, high = min((lowest / divisors).min(), 0.0), max((highest / divisors).max(), 0.0)  # 0 must be exact
            step = np.float32(max(high - low, 1e-6) / 255.0)
            scale = self.constant(f"{inputs}.step", np.array(step))
            zero = self.constant(f"{inputs}.zero", np.array(round(-low / step), dtype=np.uint8))
            # QuantizeLinear could take a step for each channel, at twenty times the time in ONNX Runtime 1.32
            factors = self.constant(f"{inputs}.factors", 1.0 / divisors)
            even = self.node("Mul", [inputs, factors], f"{inputs}.even")
            self.node("QuantizeLinear", [even, scale, zero], f"{inputs}.uint8")
            self._divisors[inputs] = divisors
        return self._divisors[inputs]

    def normalised(self, inputs: str, scale: Array, bias: Array, epsilon: float, name: str) -> str:
        """Layer normalisation over the last axis."""
        names = [inputs, self.constant(f"{name}.gamma", scale), self.constant(f"{name}.beta", bias)]
        return self.node("LayerNormalization", names, name, axis=-1, epsilon=epsilon)


def quantise(weight: Array, axis: int, most: int) -> tuple[npt.NDArray[np.int8], Array]:
    """Symmetric integers in -most..most with one scale along `axis` (the one that is summed away); weight is about
    integer * scale."""
    scale = np.maximum(np.abs(weight).max(axis=axis, keepdims=True) / most, 1e-12).astype(np.float32)
    return np.clip(np.rint(weight / scale), -most, most).astype(np.int8), scale


def build(weights: Weights, shape: EncoderShape, ranges: Ranges | None, max_tokens: int) -> Graph:
    """The graph from `input_ids` and `attention_mask` to the tensor `hidden`, [batch, length, shape.hidden].

    weights: of a `network.SignalNetwork`, by name. ranges: for products of integers, the lowest and highest values that
    go into each linear module (`0.attention.self.query`), by channel; None: fp32. Positions beyond `max_tokens` (and
    its padding to a multiple of 8) are left out.
    """
    graph = Graph(ranges)
    hidden = _embeddings(graph, weights, shape, max_tokens)
    # 0 where there is a token, a number that softmax turns into exactly 0 where there is padding
    graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    absent = graph.node("Sub", ["mask", graph.constant("one", np.array([1.0], dtype=np.float32))], "absent")
    scaled = graph.node("Mul", [absent, graph.constant("large", np.array([1e9], dtype=np.float32))], "absent.large")
    bias = graph.node("Unsqueeze", [scaled, graph.numbers("axes.bias", [1, 2])], "attention.bias")
    for layer in range(shape.layers):
        hidden = _layer(graph, weights, shape, hidden, bias, layer)
    graph.node("Identity", [hidden], "hidden")
    axis = graph.numbers("axis.tokens", [1])
    share = graph.node("Div", ["mask", graph.node("ReduceSum", ["mask", axis], "count", keepdims=1)], "share")
    graph.node("Unsqueeze", [share, axis], "share.row")
    return graph


def add_heads(graph: Graph, heads: Mapping[str, tuple[Array, Array]], pooling: Array) -> None:
    """Adds one output per head: a mean over a text's own tokens of `hidden @ weight + bias`, equal to the head of the
    mean.

    weight is [size, width], bias [width], both fp32: they are small. pooling, [size, n]: by its softmax over the tokens
    the first n heads weigh them; the rest take the plain mean. All heads are one product over the tokens: a product
    over the texts would be computed another way when there is only one text. The means are one product per text,
    computed in the same order whatever the batch; a sum over an axis of the whole batch isn't (its last bits differ for
    a batch of one). Each head's own mean is taken out of it by adding zeros, which is exact in any order.
    """
    weight = np.concatenate([weight for weight, _ in heads.values()], axis=1)
    bias = np.concatenate([bias for _, bias in heads.values()])
    product = graph.node("MatMul", ["hidden", graph.constant("heads.weight", weight)], "heads.product")
    tokens = graph.node("Add", [product, graph.constant("heads.bias", bias)], "heads.tokens")
    scores = graph.node("MatMul", ["hidden", graph.constant("pooling.weight", pooling)], "pooling.scores")
    across = graph.node("Transpose", [scores], "pooling.across", perm=[0, 2, 1])
    present = graph.node("Unsqueeze", ["absent.large", "axis.tokens"], "pooling.mask")
    shares = graph.node("Softmax", [graph.node("Add", [across, present], "pooling.masked")], "pooling.shares", axis=-1)
    rows = graph.node("Concat", [shares, "share.row"], "pooling.rows", axis=1)
    means = graph.node("MatMul", [rows, tokens], "heads.means")
    row_of_head = [min(place, pooling.shape[1]) for place in range(len(heads))]
    widths = [len(bias) for _, bias in heads.values()]
    own = np.eye(pooling.shape[1] + 1, dtype=np.float32)[np.repeat(row_of_head, widths)].T
    apart = graph.node("Mul", [means, graph.constant("heads.own", own)], "heads.apart")
    joined = graph.node("ReduceSum", [apart, "axis.tokens"], "heads", keepdims=0)
    sizes = graph.numbers("heads.sizes", widths)
    graph.nodes.append(helper.make_node("Split", [joined, sizes], list(heads), name="heads.split", axis=1))


def _embeddings(graph: Graph, weights: Weights, shape: EncoderShape, max_tokens: int) -> str:
    words, scales = quantise(weights["embeddings.word_embeddings.weight"], axis=1, most=127)
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


def _layer(graph: Graph, weights: Weights, shape: EncoderShape, hidden: str, bias: str, layer: int) -> str:
    source, name = f"layers.{layer}", f"layer.{layer}"

    def dense(inputs: str, part: str) -> str:
        weight, offset = weights[f"{source}.{part}.weight"], weights[f"{source}.{part}.bias"]
        if part == "attention.self.query":  # the usual 1/sqrt(size of a head), paid once, when the graph is built
            factor = np.float32((shape.hidden / shape.heads) ** -0.5)
            weight, offset = weight * factor, offset * factor
        return graph.linear(inputs, weight.T, offset, f"{name}.{part}", f"{layer}.{part}")

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
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(RUNTIME, 1)],
        ir_version=10,
        producer_name="voz",
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto
