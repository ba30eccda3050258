"""What the network learns from, and that an interruption changes nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voz_enrich.adapters.outbound.bundle import HEADS
from voz_enrich.domain.labels import Intent

pytest.importorskip("torch", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("tqdm", reason="the optional extra [train] isn't installed", exc_type=ImportError)

import torch
from learning import UNKNOWN, Lessons, OtherStateError, Plan, _Below, _class_weights, _loss, learn
from network import SignalNetwork
from rows import padded
from sets import Example

pytestmark = pytest.mark.unit
PLAN = Plan(
    epochs=1, batch=4, rate=1e-2, head_rate=1e-1, warm_up=0.1, frozen_layers=0, dropout=0.1, balance_power=0.5,
    numbers="float32", seed=5,
)  # fmt: skip
BATCHES = 3  # of an epoch: twelve rows by four


class StoppedError(Exception):
    pass


def started(base: Path) -> SignalNetwork:
    torch.manual_seed(11)
    return SignalNetwork(base)


def lessons() -> Lessons:
    """Twelve rows; all labels of every head are told of, a third of the rows tells of one head only."""
    random = np.random.default_rng(6)
    examples = []
    for number in range(12):
        labels = {
            head: str(list(HEADS[head])[number % len(HEADS[head])])
            for head in HEADS
            if head != "intents" and (number % 3 or head in ("topic", "stage", "emotion"))
        }
        known = frozenset(map(str, Intent)) if number % 3 else frozenset[str]()
        examples.append(Example(f"text {number}", labels, frozenset(sorted(known)[: number % 4]), known))
    rows = [random.integers(2, 50, size=size).tolist() for size in random.integers(2, 20, size=12)]
    return Lessons.of(rows, examples, [1.0] * 8 + [0.5] * 4)


def watched(network: SignalNetwork, most: int | None = None) -> list[int]:
    """Grows by one with each batch that the network learns from; StoppedError in the one after `most`."""
    seen: list[int] = []

    def note(*_: object) -> None:
        if len(seen) == most:
            raise StoppedError
        seen.append(len(seen))

    network.layers[-1].register_forward_pre_hook(note)
    return seen


@pytest.mark.parametrize("frozen_layers", [0, 1])
def test_interrupted_after_an_epoch_it_ends_with_the_weights_of_one_that_ran_through(
    base: Path, tmp_path: Path, frozen_layers: int
) -> None:
    plan = replace(PLAN, frozen_layers=frozen_layers, epochs=3)
    through, resumed, once_more = started(base), started(base), started(base)
    (tmp_path / "through").mkdir()
    (tmp_path / "twice").mkdir()
    learn(through, lessons(), plan, tmp_path / "through")

    stopped = started(base)
    watched(stopped, most=BATCHES + 1)  # in the middle of the second epoch
    with pytest.raises(StoppedError):
        learn(stopped, lessons(), plan, tmp_path / "twice")
    torch.manual_seed(99)
    seen = watched(resumed)
    learn(resumed, lessons(), plan, tmp_path / "twice")
    assert len(seen) == 2 * BATCHES  # the first epoch isn't done again

    finished = watched(once_more)
    learn(once_more, lessons(), plan, tmp_path / "twice")
    assert not finished
    assert not through.training
    assert not once_more.training
    start = started(base).state_dict()
    for name, values in through.state_dict().items():
        assert torch.equal(values, resumed.state_dict()[name]), name
        assert torch.equal(values, once_more.state_dict()[name]), name
        below = name.startswith("layers.0.") or (name.startswith("embeddings.") and frozen_layers)
        frozen = "word_embeddings" in name or (frozen_layers == 1 and below)
        assert torch.equal(values, start[name]) == frozen, name


def test_another_training_does_not_go_on_from_the_state_of_this_one(base: Path, tmp_path: Path) -> None:
    learn(started(base), lessons(), PLAN, tmp_path)
    other, told = started(base), lessons()
    with torch.no_grad():
        other.layers[1].output.dense.bias[0] += 1e-3
    swapped = [*told.rows[1:], told.rows[0]]
    for network, taught, plan in [
        (other, told, PLAN),
        (started(base), replace(told, rows=swapped), PLAN),
        (started(base), replace(told, weight=told.weight * 2), PLAN),
        (started(base), told, replace(PLAN, rate=2e-2)),
    ]:
        with pytest.raises(OtherStateError):
            learn(network, taught, plan, tmp_path)


def test_what_frozen_layers_make_of_rows_is_kept_for_every_batch(base: Path) -> None:
    network, rows, chosen = started(base), lessons().rows, [7, 0, 11]
    ids, mask = padded([rows[index] for index in chosen])
    with torch.inference_mode():
        expected = network.below(ids, mask, 1) * mask[:, :, None]
    kept = _Below(network, rows, 1).of(chosen, mask)
    assert torch.allclose(kept, expected, rtol=1e-3, atol=1e-3)  # kept as fp16


def test_frozen_layers_compute_a_repeated_row_once(base: Path) -> None:
    network, rows = started(base), lessons().rows
    computed: list[int] = []
    network.layers[0].register_forward_pre_hook(lambda _, inputs: computed.append(len(inputs[0])))
    once, twice = _Below(network, rows, 1), _Below(network, [*rows[::-1], *rows], 1)
    assert computed == [len(rows)] * 2
    _, mask = padded(rows)
    for copy in (range(len(rows) - 1, -1, -1), range(len(rows), 2 * len(rows))):
        assert torch.allclose(twice.of(list(copy), mask), once.of(range(len(rows)), mask), rtol=1e-3, atol=1e-3)


def test_lessons_are_what_examples_tell_of() -> None:
    told = Lessons.of(
        [[3], [4, 5]],
        [
            Example("a", {"sentiment": "positive", "topic": "billing"}),
            Example("b", {"emotion": "none"}, frozenset({"praise"}), frozenset({"praise", "question"})),
        ],
        [1.0, 0.5],
    )
    assert {head: classes.tolist() for head, classes in told.classes.items()} == {
        "sentiment": [2, UNKNOWN],
        "emotion": [UNKNOWN, 7],
        "topic": [0, UNKNOWN],
        "effort": [UNKNOWN, UNKNOWN],
        "stage": [UNKNOWN, UNKNOWN],
    }
    names = [str(intent) for intent in Intent]
    assert told.intents.tolist() == [[0.0] * 9, [float(name == "praise") for name in names]]
    assert told.intents_known.tolist() == [[0.0] * 9, [float(name in ("praise", "question")) for name in names]]
    assert told.weight.tolist() == [1.0, 0.5]


def test_a_label_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(ValueError, match="mixed"):
        Lessons.of([[3]], [Example("a", {"sentiment": "mixed"})], [1.0])


def test_a_row_teaches_the_heads_that_it_tells_of_as_much_as_it_counts() -> None:
    examples = [
        Example("a", {"sentiment": "negative", "stage": "use"}),
        Example("b", {"sentiment": "negative"}),
        Example("c", {"emotion": "joy"}, frozenset({"praise"}), frozenset({"praise", "question"})),
    ]
    told = Lessons.of([[3]] * 3, examples, [1.0, 0.5, 1.0])
    even = {head: torch.ones(len(HEADS[head])) for head in told.classes}
    logits = {head: torch.zeros(2, len(HEADS[head]), requires_grad=True) for head in HEADS}

    def slopes(chosen: list[int]) -> dict[str, Any]:
        gradients = torch.autograd.grad(_loss(logits, told, chosen, even), list(logits.values()))
        return dict(zip(logits, gradients, strict=True))

    first = slopes([0, 1])
    taught = {head: values.abs().sum(1).gt(0).tolist() for head, values in first.items()}
    unknown = [False, False]
    assert taught == {
        "sentiment": [True, True], "emotion": unknown, "intents": unknown, "topic": unknown, "effort": unknown,
        "stage": [True, False],
    }  # fmt: skip
    # softmax of even logits, less what is right; the mean of two rows, the second counting half
    assert first["sentiment"][0].tolist() == pytest.approx([-1 / 3, 1 / 6, 1 / 6])
    assert torch.allclose(first["sentiment"][1], first["sentiment"][0] / 2)

    second = slopes([2, 1])
    assert second["emotion"].abs().sum(1).gt(0).tolist() == [True, False]
    towards = {"praise": -1, "question": 1}  # the others aren't told of
    assert second["intents"].sign().tolist() == [[towards.get(str(intent), 0) for intent in Intent], [0] * 9]


def test_rare_labels_count_more_by_the_power_of_the_balance() -> None:
    classes = torch.tensor([0, 1, UNKNOWN, 1, 1, UNKNOWN])
    assert _class_weights(classes, 2, 1.0).tolist() == pytest.approx([2.0, 2 / 3])
    assert _class_weights(classes, 2, 0.5).tolist() == pytest.approx([2.0**0.5, (2 / 3) ** 0.5])
    assert _class_weights(classes, 2, 0.0).tolist() == [1.0, 1.0]
    assert len(_class_weights(classes, 5, 1.0)) == 5  # also of labels that no row has
