"""The graph that is built from the weights says what the network says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from voz_enrich.adapters.outbound.batches import width
from voz_enrich.adapters.outbound.bundle import HEADS, VECTOR
from voz_enrich.adapters.outbound.onnx_model import open_session

pytest.importorskip("torch", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("onnx", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("scipy", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("sklearn", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("tqdm", reason="the optional extra [train] isn't installed", exc_type=ImportError)

import encoder
import torch
from network import SignalNetwork
from rows import padded
from train import ranges_of, shape_of, weights_of

pytestmark = pytest.mark.unit
NAMES = (*HEADS, VECTOR)
MAX_TOKENS = 20  # of the base's 24 positions
RANDOM = np.random.default_rng(7)
TEXTS = [RANDOM.integers(2, 50, size=size).tolist() for size in (1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 13, 16, 19, 20)]

Outputs = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Exported:
    """A network and the graphs that were made of it."""

    network: SignalNetwork
    vector: tuple[encoder.Array, encoder.Array]
    proto: Mapping[str, bytes]
    session: Mapping[str, Any]

    def expected(self, row: Sequence[int]) -> Outputs:
        ids, mask = padded([row])
        with torch.inference_mode():
            mean, logits = self.network.above(self.network.below(ids, mask, 0), mask, 0)
        return {**{head: values[0].numpy() for head, values in logits.items()}, VECTOR: self.whitened(mean[0].numpy())}

    def whitened(self, mean: encoder.Array) -> encoder.Array:
        return mean @ self.vector[0] + self.vector[1]

    def outputs(self, kind: str, rows: Sequence[Sequence[int]], length: int) -> list[Outputs]:
        ids = np.ones((len(rows), length), dtype=np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)], mask[place, : len(row)] = row, 1
        results = self.session[kind].run(list(NAMES), {"input_ids": ids, "attention_mask": mask})
        return [{name: values[place] for name, values in zip(NAMES, results, strict=True)} for place in range(len(ids))]


def made(network: SignalNetwork, vector: tuple[encoder.Array, encoder.Array], ranges: encoder.Ranges | None) -> bytes:
    graph = encoder.build(weights_of(network), shape_of(network), ranges, MAX_TOKENS)
    heads = {name: (head.weight.detach().numpy().T, head.bias.detach().numpy()) for name, head in network.heads.items()}
    encoder.add_heads(graph, {**heads, VECTOR: vector}, network.pooling.weight.detach().numpy().T)
    outputs = {name: len(HEADS[name]) for name in HEADS} | {VECTOR: len(vector[1])}
    proto: bytes = encoder.model(graph, outputs, "of a test").SerializeToString(deterministic=True)
    return proto


@pytest.fixture(scope="module")
def exported(base: Path) -> Exported:
    """Word embeddings lie on the grid of the graph's int8, so that nothing but the sums may differ."""
    torch.manual_seed(13)
    network = SignalNetwork(base).eval()
    words = network.embeddings.word_embeddings.weight
    integers, scales = encoder.quantise(words.detach().numpy(), axis=1, most=127)
    with torch.no_grad():
        words.copy_(torch.from_numpy(integers * scales))
        for weight in (*network.heads.parameters(), *network.pooling.parameters()):
            torch.nn.init.normal_(weight)
    size = network.config.hidden_size
    vector = RANDOM.normal(size=(size, size)).astype(np.float32), RANDOM.normal(size=size).astype(np.float32)
    proto = {"fp32": made(network, vector, None), "integers": made(network, vector, ranges_of(network, TEXTS))}
    return Exported(network, vector, proto, {kind: open_session(each) for kind, each in proto.items()})


def test_in_fp32_it_gives_what_the_network_gives(exported: Exported) -> None:
    for row in TEXTS:
        (outputs,) = exported.outputs("fp32", [row], width(len(row)))
        for name, values in exported.expected(row).items():
            assert outputs[name] == pytest.approx(values, abs=2e-5), (name, len(row))


def test_in_integers_it_gives_nearly_that(exported: Exported) -> None:
    expected = [exported.expected(row) for row in TEXTS]
    outputs = [exported.outputs("integers", [row], width(len(row)))[0] for row in TEXTS]
    for name in NAMES:
        wanted, found = (np.stack([each[name] for each in side]) for side in (expected, outputs))
        error = float(np.sqrt(np.mean((wanted - found) ** 2)))
        assert 0 < error < 0.06 * float(wanted.std()), name


@pytest.mark.parametrize("kind", ["fp32", "integers"])
def test_a_text_has_the_same_bits_alone_and_in_a_batch(exported: Exported, kind: str) -> None:
    for length in (4, 8, 16, 20):
        rows = [row for row in TEXTS if width(len(row)) == length]
        assert rows
        for others in (rows, rows[::-1], [*rows, *rows, *rows]):
            for row, outputs in zip(others, exported.outputs(kind, others, length), strict=True):
                (alone,) = exported.outputs(kind, [row], length)
                for name in NAMES:
                    assert outputs[name].tobytes() == alone[name].tobytes(), (name, len(row), len(others))


def test_the_same_weights_make_the_same_bytes(exported: Exported) -> None:
    assert made(exported.network, exported.vector, None) == exported.proto["fp32"]
    assert exported.proto["integers"] != exported.proto["fp32"]


def test_quantised_weights_are_within_half_a_step() -> None:
    weight = (RANDOM.normal(size=(30, 4)) * [0.01, 1, 100, 0]).astype(np.float32)
    integers, scales = encoder.quantise(weight, axis=0, most=63)
    assert scales.shape == (1, 4)
    assert np.abs(integers[:, :3]).max(axis=0).tolist() == [63, 63, 63]
    assert (np.abs(integers * scales - weight) <= scales * 0.501).all()


def test_an_activation_that_the_graph_does_not_speak_of_is_an_error(base: Path) -> None:
    network = SignalNetwork(base)
    network.config.hidden_act = "relu"
    with pytest.raises(ValueError, match="gelu, not relu"):
        shape_of(network)
