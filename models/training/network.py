"""One encoder, six heads: the network while it learns."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import Row, batches, padded
from torch import Tensor, nn
from tqdm import tqdm
from transformers import BertModel

from voz_enrich.adapters.outbound.bundle import HEADS

Logits = Mapping[str, Tensor]


class SignalNetwork(nn.Module):
    """A BERT encoder and, for each signal, attention over a text's tokens and a linear head (attention pooling: Lin et
    al., ICLR 2017)."""

    def __init__(self, base: Path) -> None:
        """base: a checkpoint of transformers."""
        super().__init__()
        encoder: Any = BertModel.from_pretrained(
            base, add_pooling_layer=False, dtype=torch.float32, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0, attn_implementation="eager",
        )  # fmt: skip
        self.embeddings = encoder.embeddings
        self.layers = encoder.encoder.layer
        self.config = encoder.config
        self.heads = nn.ModuleDict({name: nn.Linear(encoder.config.hidden_size, len(HEADS[name])) for name in HEADS})
        self.pooling = nn.Linear(encoder.config.hidden_size, len(HEADS), bias=False)  # a token's weight for each head
        nn.init.zeros_(self.pooling.weight)  # so that it begins as the mean
        for head in self.heads.values():
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)

    def freeze(self, layers: int) -> None:
        """The words' vectors, and with any number of layers also everything below them, stay as they are."""
        frozen = self.embeddings if layers else self.embeddings.word_embeddings
        for part in (frozen, *self.layers[:layers]):
            part.requires_grad_(requires_grad=False)

    def drop(self, share: float) -> None:
        """So much of what the layers pass on is left out at random while learning (Srivastava et al., JMLR 2014)."""
        for part in self.layers.modules():
            if isinstance(part, nn.Dropout):
                part.p = share

    def below(self, ids: Tensor, mask: Tensor, layers: int) -> Tensor:
        """What the first layers make of tokens, [rows, length, size]."""
        return self._through(self.embeddings(input_ids=ids), mask, 0, layers)

    def above(self, hidden: Tensor, mask: Tensor, layers: int) -> tuple[Tensor, Logits]:
        """What the other layers make of that: the mean over the tokens, [rows, size], and the logits of each head,
        [rows, labels]."""
        hidden = self._through(hidden, mask, layers, len(self.layers))
        present = mask[:, :, None].bool()
        mean = hidden.masked_fill(~present, 0.0).sum(1) / present.sum(1)
        shares = self.pooling(hidden).float().masked_fill(~present, -torch.inf).softmax(1)  # [rows, length, heads]
        pooled = torch.einsum("rlh,rls->hrs", shares.to(hidden.dtype), hidden)
        return mean, {name: head(part) for (name, head), part in zip(self.heads.items(), pooled, strict=True)}

    def _through(self, hidden: Tensor, mask: Tensor, start: int, end: int) -> Tensor:
        bias = (1.0 - mask[:, None, None, :].to(hidden.dtype)) * -1e9
        for layer in self.layers[start:end]:
            hidden = layer(hidden, bias)
        return hidden


def mean_vectors(network: SignalNetwork, rows: Sequence[Row], name: str) -> np.ndarray:
    """The mean over the tokens of every text, [rows, size], in their order."""
    found = np.zeros((len(rows), network.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        for chosen in tqdm(batches([len(row) for row in rows], 32), desc=name, mininterval=5):
            ids, mask = padded([rows[index] for index in chosen])
            found[chosen] = network.above(network.below(ids, mask, 0), mask, 0)[0].numpy()
    return found


def linear_inputs(network: SignalNetwork, rows: Sequence[Row]) -> Iterator[tuple[str, np.ndarray]]:
    """The inputs of every matrix product of the layers, [tokens, channels], by the module's name, batch after batch:
    what static quantisation measures."""
    seen: list[tuple[str, np.ndarray]] = []
    names = {module: name for name, module in network.layers.named_modules() if isinstance(module, nn.Linear)}
    present = torch.zeros(())

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append((names[module], inputs[0][present].numpy()))

    hooks = [module.register_forward_pre_hook(note) for module in names]
    with torch.inference_mode():
        for chosen in batches([len(row) for row in rows], 32):
            ids, mask = padded([rows[index] for index in chosen])
            present = mask.bool()
            network.below(ids, mask, len(network.layers))
            yield from seen
            seen.clear()
    for hook in hooks:
        hook.remove()
