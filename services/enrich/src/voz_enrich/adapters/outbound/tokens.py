"""From text to token ids, with the tokenizer that a model came with."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]


class Tokens:
    """The tokenizer of a model. Thread-safe: truncation is set once, here, and never changed."""

    def __init__(self, folder: Path | str, max_tokens: int) -> None:
        """`folder`, or the name of a model on the hub. Raises OSError or ValueError when it has no such tokenizer."""
        # transformers takes a second to import and advises to install torch, which this doesn't need
        os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
        from transformers import AutoTokenizer

        tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        if tokenizer.pad_token_id is None or not hasattr(tokenizer, "backend_tokenizer"):
            raise ValueError(f"{folder}: a fast tokenizer with a padding token is needed (tokenizer.json)")
        self._pad = int(tokenizer.pad_token_id)
        self._fast = tokenizer.backend_tokenizer
        self._fast.no_padding()
        self._fast.enable_truncation(max_tokens)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, cut to the most tokens that the model takes."""
        return [encoding.ids for encoding in self._fast.encode_batch_fast(list(texts))]

    def padded(self, rows: Sequence[Sequence[int]], width: int) -> tuple[Ids, Ids]:
        """(input_ids, attention_mask), int64 [rows, width]."""
        ids = np.full((len(rows), width), self._pad, dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
            mask[place, : len(row)] = 1
        return ids, mask
