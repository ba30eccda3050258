"""From text to token ids, with the tokenizer that a model came with."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

Ids = npt.NDArray[np.int64]


class Tokens:
    """The tokenizer of a model. Thread-safe: truncation is set once, here, and never changed."""

    def __init__(self, tokenizer: Tokenizer, padding: int, max_tokens: int) -> None:
        """padding: the id of the token that fills a row."""
        self._tokenizer, self._padding = tokenizer, padding
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)

    @classmethod
    def read(cls, folder: Path, max_tokens: int) -> Self:
        """As a folder's tokenizer.json and the `pad_token` of its tokenizer_config.json say. Raises OSError or
        ValueError.

        transformers would give the same ids, and import PyTorch where it is installed: 700 MB for nothing.
        """
        try:
            tokenizer = Tokenizer.from_buffer((folder / "tokenizer.json").read_bytes())
        except ValueError as error:
            raise ValueError(f"{folder / 'tokenizer.json'}: {error}") from error
        try:
            settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
            padding = tokenizer.token_to_id(settings["pad_token"])
        except (KeyError, TypeError, ValueError):
            padding = None
        if padding is None:
            raise ValueError(f"{folder / 'tokenizer_config.json'}: must name a padding token of tokenizer.json")
        return cls(tokenizer, padding, max_tokens)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, cut to the most tokens that the model takes."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def padded(self, rows: Sequence[Sequence[int]], width: int) -> tuple[Ids, Ids]:
        """(input_ids, attention_mask), int64 [rows, width]."""
        ids = np.full((len(rows), width), self._padding, dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
            mask[place, : len(row)] = 1
        return ids, mask
