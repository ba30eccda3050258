"""How a network learns from rows that tell of some heads only. Can be interrupted: it goes on after the last epoch."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from network import SignalNetwork
from rows import Row, batches, padded
from sets import Example
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from voz_enrich.adapters.outbound.bundle import HEADS

UNKNOWN = -100
Numbers = np.ndarray


class OtherStateError(Exception):
    """A training was interrupted in this folder, and it was another."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast; see config.toml."""

    epochs: int
    batch: int
    rate: float
    head_rate: float
    warm_up: float
    frozen_layers: int
    dropout: float
    balance_power: float
    numbers: str
    seed: int


@dataclass(frozen=True)
class Lessons:
    """What is known of each row.

    classes: head -> index of the label, or UNKNOWN, [rows]. intents, intents_known: 0 or 1, [rows, labels].
    weight: how much a row counts.
    """

    rows: Sequence[Row]
    classes: Mapping[str, Tensor]
    intents: Tensor
    intents_known: Tensor
    weight: Tensor

    @classmethod
    def of(cls, rows: Sequence[Row], examples: Sequence[Example], weights: Sequence[float]) -> "Lessons":
        """What the examples tell of."""
        labels = {head: [str(label) for label in HEADS[head]] for head in HEADS}
        classes = {
            head: torch.tensor(
                [labels[head].index(each.labels[head]) if head in each.labels else UNKNOWN for each in examples]
            )
            for head in HEADS
            if head != "intents"
        }
        present, known = (
            torch.tensor([[float(label in found) for label in labels["intents"]] for found in kind])
            for kind in ([each.intents for each in examples], [each.intents_known for each in examples])
        )
        return cls(rows, classes, present, known, torch.tensor(weights))


def learn(network: SignalNetwork, lessons: Lessons, plan: Plan, folder: Path) -> None:
    """Trains `network` in place; `folder` keeps the state after each epoch, by which a later call goes on.

    Raises OtherStateError when the state there is of another base, plan or lessons.
    """
    random = np.random.default_rng(plan.seed)
    torch.manual_seed(plan.seed)  # what dropout leaves out
    network.freeze(plan.frozen_layers)
    network.drop(plan.dropout)
    heads = [*network.heads.parameters(), *network.pooling.parameters()]
    others = [each for part in (network.embeddings, network.layers) for each in part.parameters() if each.requires_grad]
    groups = [{"params": others, "lr": plan.rate}, {"params": heads, "lr": plan.head_rate}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    steps = plan.epochs * math.ceil(len(lessons.rows) / plan.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (plan.warm_up * steps), (steps - step) / ((1 - plan.warm_up) * steps))
    )
    weights = {
        head: _class_weights(classes, len(HEADS[head]), plan.balance_power) for head, classes in lessons.classes.items()
    }
    state, of = folder / "state.pt", _fingerprint(network, lessons, plan)
    first = 0
    if state.is_file():
        saved = torch.load(state, weights_only=False)
        if saved["of"] != of:
            raise OtherStateError(f"{state} is of another base, other rows or other settings: remove it to begin anew")
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        random.bit_generator.state = saved["random"]
        first = saved["epochs"]
        if first == plan.epochs:
            network.eval()
            return
        torch.set_rng_state(saved["dropout"])
    hidden = _Below(network, lessons.rows, plan.frozen_layers) if plan.frozen_layers else None

    network.train()
    for epoch in range(first, plan.epochs):
        order = batches([len(row) for row in lessons.rows], plan.batch, random)
        progress = tqdm(order, desc=f"epoch {epoch + 1} of {plan.epochs}", mininterval=5)
        for chosen in progress:
            ids, mask = padded([lessons.rows[index] for index in chosen])
            with torch.autocast("cpu", getattr(torch, plan.numbers), enabled=plan.numbers != "float32"):
                below = hidden.of(chosen, mask) if hidden else network.below(ids, mask, 0)
                _, logits = network.above(below, mask, plan.frozen_layers)
            loss = _loss({head: values.float() for head, values in logits.items()}, lessons, chosen, weights)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([*others, *heads], 1.0)
            optimizer.step()
            schedule.step()
            progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
        saved = {
            "network": network.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(),
            "random": random.bit_generator.state, "dropout": torch.get_rng_state(), "epochs": epoch + 1, "of": of,
        }  # fmt: skip
        torch.save(saved, state.with_suffix(".new"))
        state.with_suffix(".new").replace(state)
    network.eval()


def _fingerprint(network: SignalNetwork, lessons: Lessons, plan: Plan) -> str:
    """What goes into learning: two calls that have it in common end alike."""
    found = hashlib.sha256(repr((plan, lessons.rows)).encode())
    for part in (network.state_dict(), lessons.classes):
        for name, values in part.items():
            found.update(name.encode() + values.numpy().tobytes())
    for values in (lessons.intents, lessons.intents_known, lessons.weight):
        found.update(values.numpy().tobytes())
    return found.hexdigest()


def _loss(
    logits: Mapping[str, Tensor], lessons: Lessons, chosen: Sequence[int], weights: Mapping[str, Tensor]
) -> Tensor:
    """The mean over the batch's rows of what is wrong in the heads that they tell of."""
    total = torch.zeros(())
    weight = lessons.weight[chosen]
    for head, classes in lessons.classes.items():
        wrong = functional.cross_entropy(
            logits[head], classes[chosen], weight=weights[head], reduction="none", ignore_index=UNKNOWN
        )
        total = total + (wrong * weight).mean()
    wrong = functional.binary_cross_entropy_with_logits(logits["intents"], lessons.intents[chosen], reduction="none")
    return total + (wrong * lessons.intents_known[chosen] * weight[:, None]).sum(1).mean() / 2


def _class_weights(classes: Tensor, labels: int, power: float) -> Tensor:
    counts = torch.bincount(classes[classes != UNKNOWN], minlength=labels).clamp(min=1).float()
    return (counts.sum() / len(counts) / counts) ** power


class _Below:
    """What frozen layers make of every row, computed once for all rows that are alike, fp16."""

    def __init__(self, network: SignalNetwork, rows: Sequence[Row], layers: int) -> None:
        distinct = list(dict.fromkeys(map(tuple, rows)))
        places = {row: place for place, row in enumerate(distinct)}
        self._places = [places[tuple(row)] for row in rows]
        lengths = [len(row) for row in distinct]
        self._starts = np.concatenate([[0], np.cumsum(lengths)])
        self._values = np.zeros((self._starts[-1], network.config.hidden_size), dtype=np.float16)
        with torch.inference_mode():
            for chosen in tqdm(batches(lengths, 32), desc="frozen layers", mininterval=5):
                ids, mask = padded([distinct[place] for place in chosen])
                for place, hidden in zip(chosen, network.below(ids, mask, layers).numpy(), strict=True):
                    self._slice(place)[:] = hidden[: lengths[place]]

    def of(self, chosen: Sequence[int], mask: Tensor) -> Tensor:
        """[rows, longest, size], fp32, padded with 0."""
        hidden = torch.zeros(*mask.shape, self._values.shape[1])
        for number, index in enumerate(chosen):
            values = self._slice(self._places[index])
            hidden[number, : len(values)] = torch.from_numpy(values.astype(np.float32))
        return hidden

    def _slice(self, place: int) -> Numbers:
        return self._values[self._starts[place] : self._starts[place + 1]]
