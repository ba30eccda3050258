"""Sentiment by any transformers sequence-classification model; everything else by a bundle."""

import hashlib
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
    **dict.fromkeys(("negative", "neg", "very negative", "1 star", "2 stars"), Sentiment.NEGATIVE),
    **dict.fromkeys(("neutral", "neu", "3 stars"), Sentiment.NEUTRAL),
    **dict.fromkeys(("positive", "pos", "very positive", "4 stars", "5 stars"), Sentiment.POSITIVE),
}


_UNLIKE_TEXTS = ("good", "bad", "1", "2", "?", "!")  # some of them are known to any tokenizer


class HfModelError(Exception):
    """The named model can't be used. Says what to do about it."""


class HfSentimentModel:
    """A `SignalModel`: sentiment from the named model, the other signals from `others`.

    The shares of labels that mean one sentiment are added up; the greatest sum is the answer. A model without a neutral
    label must choose a side for a plain question too, so what it gives to both sides is read as neutral: see
    `with_neutral`.

    A text's answer depends on that text alone as far as its scores are rounded: batches hold texts of one padded
    length, and what torch still varies lies beyond the fourth decimal.
    """

    def __init__(self, name: str, label_map: Mapping[str, Sentiment], others: SignalModel, threads: int) -> None:
        """name: a model on the hub or a folder. label_map: the model's labels to ours, where its own names don't say.

        Raises HfModelError when torch or transformers is missing, the model can't be loaded, is no classifier or its
        labels don't map.
        """
        try:
            import torch
            from transformers import AutoModelForSequenceClassification, utils
        except ImportError as error:
            raise HfModelError(
                f"hf:{name} needs torch and transformers, which aren't installed: pip install 'voz-enrich[hf]'"
            ) from error
        chatter: Any = utils.logging
        chatter.set_verbosity_error()
        chatter.disable_progress_bar()
        try:
            loaded: tuple[Any, Mapping[str, Any]] = AutoModelForSequenceClassification.from_pretrained(
                name, dtype=torch.float32, output_loading_info=True
            )
            self._longest = _longest(loaded[0].config)
            self._tokens = _tokens(name, self._longest)
        except Exception as error:  # of whatever class: files, names and architectures go wrong in many ways
            raise HfModelError(f"hf:{name} can't be loaded: {' '.join(str(error).split())[:300]}") from error
        if absent := sorted(loaded[1]["missing_keys"]):
            # they would be drawn at random, and so would every answer
            raise HfModelError(f"hf:{name} isn't a trained classifier: it has no weights for {', '.join(absent[:3])}")
        config = loaded[0].config
        if config.problem_type == "multi_label_classification":
            raise HfModelError(f"hf:{name} gives a text several labels: a sentiment is one of its labels")
        torch.set_num_threads(threads)
        self._torch, self._model = torch, loaded[0].eval()
        self._sentiments = map_labels(config.id2label, label_map)
        self._others = others
        self._one_at_a_time = Lock()  # torch shares its threads between calls: two calls would only slow each other
        self._version = f"{_name(name)}@{_fingerprint(self._model, self._sentiments)}"
        self._try(name)

    @property
    def version(self) -> str:
        """Both models' names, such as `hf:stars@1f0c9a2e+voz-signals-5`: folders of one name that hold other weights
        have other versions."""
        return f"hf:{self._version}+{self._others.version}"

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
        results = [dict.fromkeys(Sentiment, 0.0) for _ in texts]
        with self._one_at_a_time, self._torch.inference_mode():
            for width, indexes in plan([len(row) for row in rows]):
                ids, mask = self._tokens.padded([rows[index] for index in indexes], min(width, self._longest))
                tensors = (self._torch.from_numpy(ids), self._torch.from_numpy(mask))
                shares = self._model(input_ids=tensors[0], attention_mask=tensors[1]).logits.double().softmax(-1)
                for index, row in zip(indexes, shares.tolist(), strict=True):
                    for sentiment, share in zip(self._sentiments, row, strict=True):
                        results[index][sentiment] += share
        if Sentiment.NEUTRAL not in self._sentiments:
            results = [with_neutral(scores) for scores in results]
        return [{label.value: round(share, DECIMALS) for label, share in scores.items()} for scores in results]

    def _try(self, name: str) -> None:
        """It must tell texts apart and answer: transformers makes an empty tokenizer where a model has none, and one of
        another model may name tokens that this one hasn't."""
        if len({tuple(row) for row in self._tokens.ids(_UNLIKE_TEXTS)}) == 1:
            raise HfModelError(f"hf:{name} can't read a text: its tokenizer (tokenizer.json) knows no words")
        try:
            scores = self._scores(_UNLIKE_TEXTS)[0]
        except Exception as error:
            raise HfModelError(f"hf:{name} can't read a text: {' '.join(str(error).split())[:300]}") from error
        if not sum(scores.values()) > 0:
            raise HfModelError(f"hf:{name} can't read a text: its answers are no numbers")


def with_neutral(scores: Mapping[Sentiment, float]) -> dict[Sentiment, float]:
    """The scores of a model that knows two sides only: what it gives to both is neutral, twice the lesser share.

    0.9 and 0.1 become 0.8 positive, 0.2 neutral; from 0.25 to 0.75 neutral is the greatest. They still sum to 1, and
    P(positive) - P(negative) stays as it is.
    """
    less = min(scores[Sentiment.NEGATIVE], scores[Sentiment.POSITIVE])
    return {
        Sentiment.NEGATIVE: scores[Sentiment.NEGATIVE] - less,
        Sentiment.NEUTRAL: 2 * less,
        Sentiment.POSITIVE: scores[Sentiment.POSITIVE] - less,
    }


def map_labels(labels: Mapping[int, str], label_map: Mapping[str, Sentiment]) -> list[Sentiment]:
    """Our sentiment for each of a model's labels, in their order. The map goes first, then names that speak for
    themselves (negative/neutral/positive, neg/neu/pos, very negative, very positive, 1 star … 5 stars). Raises
    HfModelError when one stays open, negative or positive has none, or the map names one that the model hasn't."""
    wanted = {label.lower(): sentiment for label, sentiment in label_map.items()}
    names = [labels[index] for index in sorted(labels)]
    if strange := sorted(wanted.keys() - {name.lower() for name in names}):
        raise HfModelError(f"the label map names {', '.join(strange)}; the model has {', '.join(names)}")
    mapped = [wanted.get(name.lower(), _KNOWN_LABELS.get(name.lower())) for name in names]
    found = [sentiment for sentiment in mapped if sentiment is not None]
    if len(found) < len(names):
        unknown = ", ".join(name for name, sentiment in zip(names, mapped, strict=True) if sentiment is None)
        raise HfModelError(
            f"labels without a sentiment: {unknown}; name them in VOZ_ENRICH_LABEL_MAP "
            "(of a shadow: VOZ_ENRICH_SHADOW_LABEL_MAP), "
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


def _tokens(name: str, max_tokens: int) -> Tokens:
    """By transformers, which knows more ways to keep a tokenizer than tokenizer.json, and the hub."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(name)
    if tokenizer.pad_token_id is None or not hasattr(tokenizer, "backend_tokenizer"):
        raise ValueError("a fast tokenizer with a padding token is needed (tokenizer.json)")
    return Tokens(tokenizer.backend_tokenizer, int(tokenizer.pad_token_id), max_tokens)


def _longest(config: Any) -> int:
    """The most tokens that a model takes, of which we use MAX_TOKENS."""
    positions = getattr(config, "max_position_embeddings", None)
    # Relative positions have no end: there it is missing or -1. Some tables keep the first two for themselves.
    return min(MAX_TOKENS, positions - 2) if positions is not None and positions > 2 else MAX_TOKENS


def _name(name: str) -> str:
    return Path(name).resolve().name if Path(name).is_dir() else name


def _fingerprint(model: Any, sentiments: Sequence[Sentiment]) -> str:
    """Of all that answers depend on, but for the tokenizer: the weights and what the labels mean."""
    digest = hashlib.sha256(",".join(sentiments).encode())
    for name, weights in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.contiguous().numpy())
    return digest.hexdigest()[:8]
