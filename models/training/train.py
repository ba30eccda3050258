"""Makes the bundle that config.toml describes: `python models/training/train.py` (or `make model`), about a minute.

The encoder is frozen; the heads are fitted on its vectors of the corpus' train split, computed by the very graph,
tokens and batches that answer later. `models/training/evaluate.py` judges the bundle and writes its card.
"""

import json
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import encoder
import numpy as np
from corpus import Message, read_corpus
from heads import Fit, FittedHead, Vectors, fit_many_labels, fit_one_label

from voz_enrich.adapters.outbound.batches import plan
from voz_enrich.adapters.outbound.bundle import HEADS, write_manifest
from voz_enrich.adapters.outbound.onnx_model import open_session
from voz_enrich.adapters.outbound.tokens import Tokens
from voz_enrich.domain.text import cleaned

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    """Trains and seals the bundle; the card says so until the bundle is evaluated."""
    config = tomllib.loads((Path(__file__).parent / "config.toml").read_text(encoding="utf-8"))
    base = Path(os.environ.get("VOZ_BASE_MODEL") or REPOSITORY / config["base"])
    bundle = REPOSITORY / config["bundle"]
    bundle.mkdir(parents=True, exist_ok=True)
    write_tokenizer(base, bundle)

    messages = read_corpus(REPOSITORY / config["corpus"], "train")
    vectors = embed(base, config, Tokens(bundle, config["max_tokens"]), [message.text for message in messages])
    fit = Fit(config["inverse_regularisation"], config["balance_power"], config["folds"], config["seed"])
    heads = {head: fit_head(head, messages, vectors, fit) for head in HEADS}

    graph, _ = encoder.build(base, config["layers"], config["max_tokens"])
    encoder.add_heads(
        graph,
        {head: (fitted.weight.astype(np.float32), fitted.bias.astype(np.float32)) for head, fitted in heads.items()},
    )
    outputs = {head: len(labels) for head, labels in HEADS.items()}
    model = encoder.model(graph, outputs, f"{config['version']}: signals of customers' messages")
    (bundle / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    write_labels(bundle, config["max_tokens"], heads)
    (bundle / "card.md").write_text(f"# {config['version']}\n\nNot evaluated yet.\n", encoding="utf-8")
    write_manifest(bundle, config["version"])
    size = sum(path.stat().st_size for path in bundle.iterdir())
    print(f"{bundle.relative_to(REPOSITORY)}: {len(messages)} messages, {size / 1e6:.1f} MB")


def embed(base: Path, config: dict[str, Any], tokens: Tokens, texts: Sequence[str]) -> Vectors:
    """The encoder's vectors, fp32 [texts, size]."""
    graph, size = encoder.build(base, config["layers"], config["max_tokens"])
    encoder.add_mean(graph, "hidden", "vector")
    session = open_session(encoder.model(graph, {"vector": size}, "encoder").SerializeToString())
    rows = tokens.ids([cleaned(text) for text in texts])
    vectors = np.zeros((len(texts), size), dtype=np.float32)
    for width, indexes in plan([len(row) for row in rows]):
        ids, mask = tokens.padded([rows[index] for index in indexes], width)
        vectors[indexes] = session.run(["vector"], {"input_ids": ids, "attention_mask": mask})[0]
    return vectors


def fit_head(head: str, messages: Sequence[Message], vectors: Vectors, fit: Fit) -> FittedHead:
    """One head, on the messages that count for it."""
    labels = [str(label) for label in HEADS[head]]
    if head == "intents":
        present = [np.array([label in message.intents for message in messages]) for label in labels]
        return fit_many_labels(vectors, present, fit)
    rows = [row for row, message in enumerate(messages) if message.counts_for(head)]
    classes = np.array([labels.index(messages[row].labels[head]) for row in rows], dtype=np.int64)
    return fit_one_label(vectors[rows], classes, len(labels), fit)


def write_tokenizer(base: Path, bundle: Path) -> None:
    """The base's tokenizer, without blanks and with its scores to 4 decimals: half a megabyte less to download."""
    tokenizer = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["model"]["vocab"] = [[piece, round(score, 4)] for piece, score in tokenizer["model"]["vocab"]]
    text = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (bundle / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    config = (base / "tokenizer_config.json").read_text(encoding="utf-8")
    (bundle / "tokenizer_config.json").write_text(config.rstrip() + "\n", encoding="utf-8")


def write_labels(bundle: Path, max_tokens: int, heads: dict[str, FittedHead]) -> None:
    """labels.json: how each head's logits are read."""
    described: dict[str, dict[str, Any]] = {}
    for head, fitted in heads.items():
        described[head] = {"labels": [str(label) for label in HEADS[head]], "temperature": fitted.temperature}
        if fitted.thresholds:
            described[head]["thresholds"] = list(fitted.thresholds)
    text = json.dumps({"max_tokens": max_tokens, "heads": described}, indent=2)
    (bundle / "labels.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
