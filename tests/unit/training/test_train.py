"""What is made of several trainings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

pytest.importorskip("torch", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("onnx", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("scipy", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("sklearn", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("tqdm", reason="the optional extra [train] isn't installed", exc_type=ImportError)

import torch
import train
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


class _Letters:
    """Numbers of letters for tokens: the base of these tests knows fifty."""

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [[ord(letter) % 50 for letter in text[:12]] for text in texts]


@pytest.mark.parametrize(("research", "runs"), [(False, ["run-1", "run-2", "run-3"]), (True, ["run-1"])])
def test_what_ships_is_the_mean_of_its_trainings_and_research_is_one(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, research: bool, runs: list[str]
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    lines = (train.REPOSITORY / train.CONFIG["corpus"] / "en.jsonl").read_text(encoding="utf-8").splitlines()
    (corpus / "en.jsonl").write_text("\n".join(lines[:40]) + "\n", encoding="utf-8")
    learning = train.CONFIG["learning"] | {"epochs": 1, "frozen_layers": 1, "numbers": "float32"}
    monkeypatch.setenv("VOZ_BASE_MODEL", str(base))
    monkeypatch.setattr(
        train,
        "CONFIG",
        train.CONFIG | {"corpus": str(corpus), "use": {}, "research": {}, "runs": 3, "learning": learning},
    )
    network = train.trained(cast("Any", _Letters()), tmp_path, research=research)
    assert sorted(path.name for path in tmp_path.glob("run-*")) == runs
    states = [torch.load(tmp_path / run / "state.pt", weights_only=False)["network"] for run in runs]
    for name, weights in mean_of(states).items():
        assert torch.equal(network.state_dict()[name], weights), name
    assert not any(torch.equal(states[0]["heads.topic.weight"], other["heads.topic.weight"]) for other in states[1:])
