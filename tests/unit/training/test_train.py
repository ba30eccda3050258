"""What is made of several trainings."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("onnx", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("scipy", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("sklearn", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("tqdm", reason="the optional extra [train] isn't installed", exc_type=ImportError)

import torch
from network import SignalNetwork
from train import mean_of

pytestmark = pytest.mark.unit


def test_the_mean_of_several_networks_is_that_of_each_weight_and_a_network_again(base: Path) -> None:
    networks = [SignalNetwork(base) for _ in range(3)]
    for number, network in enumerate(networks):
        for weights in network.parameters():
            torch.nn.init.constant_(weights, float(number * number))
    mean = SignalNetwork(base)
    mean.load_state_dict(mean_of([each.state_dict() for each in networks]))
    for name, weights in mean.named_parameters():
        torch.testing.assert_close(weights.data, torch.full_like(weights, 5 / 3), msg=name)


def test_the_mean_of_one_network_is_that_network(base: Path) -> None:
    network = SignalNetwork(base)
    for name, weights in mean_of([network.state_dict()]).items():
        assert torch.equal(weights, network.state_dict()[name]), name
