"""One encoder, six heads: the network while it learns."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import Row, batches, padded
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm
from transformers import BertModel

from voz_enrich.adapters.outbound.bundle import HEADS

Logits = Mapping[str, Tensor]


class SignalNetwork(nn.Module):
    """A BERT encoder, the mean over a text's tokens, and one linear head for each signal."""

    def __init__(self, base: Path, layers: Sequence[int], pooled_after: int | None = None) -> None:
        """base: a checkpoint of transformers. layers: those of its layers that are kept, in order. pooled_after: after
        so many of them, two neighbouring tokens go on as one."""
        super().__init__()
        encoder: Any = BertModel.from_pretrained(
            base, add_pooling_layer=False, dtype=torch.float32, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0, attn_implementation="eager",
        )  # fmt: skip
        self.embeddings = encoder.embeddings
        self.layers = nn.ModuleList([encoder.encoder.layer[index] for index in layers])
        self.config = encoder.config
        self.pooled_after = pooled_after
        self.heads = nn.ModuleDict({name: nn.Linear(encoder.config.hidden_size, len(HEADS[name])) for name in HEADS})
        for head in self.heads.values():
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)

    def freeze(self, layers: int) -> None:
        """The words' vectors, and with any number of layers also everything below them, stay as they are."""
        frozen = self.embeddings if layers else self.embeddings.word_embeddings
        for part in (frozen, *self.layers[:layers]):
            part.requires_grad_(requires_grad=False)

    def below(self, ids: Tensor, mask: Tensor, layers: int) -> Tensor:
        """What the first layers make of tokens, [rows, length, size]."""
        return self._through(self.embeddings(input_ids=ids), mask, 0, layers)[0]

    def above(self, hidden: Tensor, mask: Tensor, layers: int) -> tuple[Tensor, Logits]:
        """What the other layers make of that: vectors, [rows, size], and the logits of each head, [rows, labels]."""
        hidden, mask = self._through(hidden, mask, layers, len(self.layers))
        share = mask[:, :, None].to(hidden.dtype)
        vectors = (hidden * share).sum(1) / share.sum(1)
        return vectors, {name: head(vectors) for name, head in self.heads.items()}

    def _through(self, hidden: Tensor, mask: Tensor, start: int, end: int) -> tuple[Tensor, Tensor]:
        for index in range(start, end):
            if index == self.pooled_after:
                hidden, mask = pooled(hidden, mask)
            bias = (1.0 - mask[:, None, None, :].to(hidden.dtype)) * -1e9
            result = self.layers[index](hidden, bias)
            hidden = result[0] if isinstance(result, tuple) else result
        return hidden, mask


def pooled(hidden: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of each two neighbours, as in the Funnel-Transformer (Dai et al., NeurIPS 2020), and which of them there
    are: [rows, length, size] and [rows, length] become half as long."""
    if hidden.shape[1] % 2:
        hidden, mask = functional.pad(hidden, (0, 0, 0, 1)), functional.pad(mask, (0, 1))
    there = mask.unflatten(1, (-1, 2))
    count = there.sum(2)
    share = (there / count[:, :, None].clamp(min=1)).to(hidden.dtype)
    return (hidden.unflatten(1, (-1, 2)) * share[..., None]).sum(2), count.clamp(max=1)


def computing_in(numbers: str) -> torch.autocast:
    """Within it products are computed in `float32` or `bfloat16`."""
    return torch.autocast("cpu", getattr(torch, numbers), enabled=numbers != "float32")


def answers(
    network: SignalNetwork, rows: Sequence[Row], name: str, numbers: str = "float32"
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Vectors and logits of every text, in the order of `rows`."""
    vectors = np.zeros((len(rows), network.config.hidden_size), dtype=np.float32)
    logits = {head: np.zeros((len(rows), len(labels)), dtype=np.float32) for head, labels in HEADS.items()}
    with torch.inference_mode(), computing_in(numbers):
        for chosen in tqdm(batches([len(row) for row in rows], 32), desc=name, mininterval=5):
            ids, mask = padded([rows[index] for index in chosen])
            found, judged = network.above(network.below(ids, mask, 0), mask, 0)
            vectors[chosen] = found.float().numpy()
            for head, values in judged.items():
                logits[head][chosen] = values.float().numpy()
    return vectors, logits


def linear_inputs(network: SignalNetwork, rows: Sequence[Row]) -> Iterator[tuple[str, np.ndarray]]:
    """Every input of every matrix product of the layers, by the module's name: what static quantisation measures."""
    seen: list[tuple[str, np.ndarray]] = []
    names = {module: name for name, module in network.layers.named_modules() if isinstance(module, nn.Linear)}
    masks: list[Tensor] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        hidden, mask = inputs[0], masks[-1]
        if hidden.shape[1] != mask.shape[1]:
            mask = pooled(mask[:, :, None], mask)[1]
        seen.append((names[module], hidden[mask.bool()].numpy().ravel()))

    hooks = [module.register_forward_pre_hook(note) for module in names]
    with torch.inference_mode():
        for chosen in batches([len(row) for row in rows], 32):
            ids, mask = padded([rows[index] for index in chosen])
            masks.append(mask)
            network.below(ids, mask, len(network.layers))
            yield from seen
            seen.clear()
    for hook in hooks:
        hook.remove()
