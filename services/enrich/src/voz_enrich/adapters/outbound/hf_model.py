"""Sentiment by any transformers sequence-classification model; everything else by a bundle."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

from voz_enrich.adapters.outbound.batches import plan
from voz_enrich.adapters.outbound.reading import DECIMALS, sentiment_score
from voz_enrich.adapters.outbound.tokens import Tokens
from voz_enrich.domain.labels import Sentiment
from voz_enrich.domain.signals import TextSignals
from voz_enrich.domain.text import cleaned
from voz_enrich.ports import SignalModel

MAX_TOKENS = 128

_KNOWN_LABELS = {
    **dict.fromkeys(("negative", "neg", "1 star", "2 stars"), Sentiment.NEGATIVE),
    **dict.fromkeys(("neutral", "neu", "3 stars"), Sentiment.NEUTRAL),
    **dict.fromkeys(("positive", "pos", "4 stars", "5 stars"), Sentiment.POSITIVE),
}


class HfModelError(Exception):
    """The named model can't be used. Says what to do about it."""


class HfSentimentModel:
    """A `SignalModel`: sentiment from the named model, the other signals from `others`.

    A text's answer depends on that text alone as far as its scores are rounded: batches hold texts of one padded
    length, and what torch still varies lies beyond the fourth decimal.
    """

    def __init__(self, name: str, label_map: Mapping[str, Sentiment], others: SignalModel, threads: int) -> None:
        """name: a model on the hub or a folder. label_map: the model's labels to ours, where its own names don't say.

        Raises HfModelError when torch is missing, the model can't be loaded or its labels don't map.
        """
        try:
            import torch
        except ImportError as error:
            raise HfModelError(f"hf:{name} needs torch, which isn't installed: pip install 'voz-enrich[hf]'") from error
        from transformers import AutoModelForSequenceClassification

        try:
            self._model: Any = AutoModelForSequenceClassification.from_pretrained(name, dtype=torch.float32).eval()
            config = self._model.config
            # some tokenizers and position tables reserve the first two positions
            longest = min(MAX_TOKENS, int(getattr(config, "max_position_embeddings", MAX_TOKENS)) - 2)
            self._tokens = Tokens(name, longest)
        except (ImportError, OSError, ValueError) as error:
            raise HfModelError(f"hf:{name} can't be loaded: {error}") from error
        torch.set_num_threads(threads)
        self._torch = torch
        self._longest = longest
        self._sentiments = map_labels(config.id2label, label_map)
        self._others = others
        self._one_at_a_time = Lock()  # torch shares its threads between calls: two calls would only slow each other
        self._name = Path(name).name if Path(name).is_dir() else name

    @property
    def version(self) -> str:
        """Both models' names."""
        return f"hf:{self._name}+{self._others.version}"

    def analyse(self, texts: Sequence[str], languages: Sequence[str | None] | None = None) -> list[TextSignals]:
        """One answer for each text, in their order; see the port."""
        answers = self._others.analyse(texts, languages)
        readable = {index: clean for index, text in enumerate(texts) if (clean := cleaned(text))}
        for index, scores in zip(readable, self._scores(list(readable.values())), strict=True):
            answers[index] = replace(
                answers[index],
                sentiment=max(Sentiment, key=lambda label: scores[label]),
                sentiment_score=sentiment_score(scores),
                scores={**answers[index].scores, "sentiment": scores},
            )
        return answers

    def _scores(self, texts: Sequence[str]) -> list[dict[str, float]]:
        rows = self._tokens.ids(texts)
        results = [{str(label): 0.0 for label in Sentiment} for _ in texts]
        with self._one_at_a_time, self._torch.inference_mode():
            for width, indexes in plan([len(row) for row in rows]):
                ids, mask = self._tokens.padded([rows[index] for index in indexes], min(width, self._longest))
                tensors = (self._torch.from_numpy(ids), self._torch.from_numpy(mask))
                shares = self._model(input_ids=tensors[0], attention_mask=tensors[1]).logits.double().softmax(-1)
                for index, row in zip(indexes, shares.tolist(), strict=True):
                    for sentiment, share in zip(self._sentiments, row, strict=True):
                        results[index][sentiment] += share
        return [{label: round(share, DECIMALS) for label, share in scores.items()} for scores in results]


def map_labels(labels: Mapping[int, str], label_map: Mapping[str, Sentiment]) -> list[Sentiment]:
    """Our sentiment for each of a model's labels, in their order. The map goes first, then names that speak for
    themselves (negative/neutral/positive, neg/neu/pos, 1 star … 5 stars). Raises HfModelError when one stays open or
    negative or positive has none."""
    wanted = {label.lower(): sentiment for label, sentiment in label_map.items()}
    names = [labels[index] for index in sorted(labels)]
    mapped = [wanted.get(name.lower(), _KNOWN_LABELS.get(name.lower())) for name in names]
    found = [sentiment for sentiment in mapped if sentiment is not None]
    if len(found) < len(names):
        unknown = ", ".join(name for name, sentiment in zip(names, mapped, strict=True) if sentiment is None)
        raise HfModelError(
            f"labels without a sentiment: {unknown}; name them in VOZ_ENRICH_LABEL_MAP, "
            f"e.g. {','.join(f'{name}={sentiment}' for name, sentiment in zip(names, Sentiment, strict=False))}"
        )
    if absent := {Sentiment.NEGATIVE, Sentiment.POSITIVE} - set(found):
        raise HfModelError(f"no label means {' or '.join(sorted(absent))} among {', '.join(names)}")
    return found


def parse_label_map(text: str) -> dict[str, Sentiment]:
    """`LABEL_0=negative,LABEL_1=positive`, or the same as a JSON object; an empty text is empty. Raises ValueError."""
    if text.lstrip().startswith("{"):
        pairs = json.loads(text).items()
    else:
        pairs = [re.split(r"\s*=\s*", pair.strip(), maxsplit=1) for pair in text.split(",") if pair.strip()]
    try:
        return {str(label): Sentiment(sentiment) for label, sentiment in pairs}
    except ValueError as error:
        raise ValueError(f"a label map reads LABEL_0=negative,LABEL_1=positive: {error}") from error
