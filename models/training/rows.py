"""Texts as rows of tokens, in batches of like length."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

Row = Sequence[int]
PAD = 1  # the base's padding token; masked, so that any would do


def padded(rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """(ids, mask), int64 [rows, longest]."""
    ids = torch.full((len(rows), max(map(len, rows))), PAD)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
        mask[place, : len(row)] = 1
    return ids, mask


def batches(lengths: Sequence[int], size: int, random: np.random.Generator | None = None) -> list[list[int]]:
    """Indexes in batches of like length; in random order, and differently mixed each time, with `random`."""
    if random is None:
        order = sorted(range(len(lengths)), key=lambda index: lengths[index])
        return [order[start : start + size] for start in range(0, len(order), size)]
    shuffled, found = random.permutation(len(lengths)).tolist(), []
    for start in range(0, len(shuffled), 50 * size):
        near = sorted(shuffled[start : start + 50 * size], key=lambda index: lengths[index])
        found += [near[begin : begin + size] for begin in range(0, len(near), size)]
    return [found[place] for place in random.permutation(len(found))]
