"""A model bundle: a folder with everything that one model needs, and proof that it is whole.

model.onnx              inputs input_ids and attention_mask, int64 [batch, length]; one output per head: its logits;
                        `vector`, fp32 [batch, size]: where the text lies in the encoder's space
tokenizer.json, tokenizer_config.json
labels.json             {"max_tokens", "heads": {head: {"labels", "temperature", "thresholds"?}}}
card.md                 what it was made of and how well it does
manifest.json           {"format": 2, "version", "files": {name: sha256 of its bytes, in hex}}
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from voz_enrich.domain.labels import Effort, Emotion, Intent, Sentiment, Stage, Topic

FORMAT = 2
FILES = ("model.onnx", "tokenizer.json", "tokenizer_config.json", "labels.json", "card.md")
VECTOR = "vector"
HEADS: Mapping[str, type[StrEnum]] = {
    "sentiment": Sentiment,
    "emotion": Emotion,
    "intents": Intent,
    "topic": Topic,
    "effort": Effort,
    "stage": Stage,
}


class BundleError(Exception):
    """The bundle isn't there, isn't whole or speaks of other labels. Says which file and why."""


@dataclass(frozen=True, slots=True)
class Head:
    """How the logits of one head are read.

    labels: in the order of the logits. temperature: logits are divided by it before they become probabilities.
    thresholds: for a head with any number of labels, the probability from which each label counts; else empty.
    """

    labels: tuple[str, ...]
    temperature: float
    thresholds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. `version` names its weights."""

    folder: Path
    version: str
    max_tokens: int
    heads: Mapping[str, Head]


def load_bundle(folder: Path) -> Bundle:
    """Reads and verifies a bundle. Raises BundleError."""
    manifest = _read_json(folder / "manifest.json")
    if manifest.get("format") != FORMAT:
        raise BundleError(f"{folder / 'manifest.json'}: format {manifest.get('format')!r}, this version reads {FORMAT}")
    digests = manifest.get("files")
    if not isinstance(digests, dict) or sorted(digests) != sorted(FILES):
        raise BundleError(f"{folder / 'manifest.json'}: must name exactly {', '.join(FILES)}")
    for name in FILES:
        if _digest(folder / name) != digests[name]:
            raise BundleError(f"{folder / name}: SHA-256 differs from the manifest's: changed or cut short")
    labels = _read_json(folder / "labels.json")
    try:
        heads = {name: _head(name, labels["heads"][name]) for name in HEADS}
        return Bundle(folder, str(manifest["version"]), int(labels["max_tokens"]), heads)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{folder / 'labels.json'}: {error}") from error


def write_manifest(folder: Path, version: str) -> None:
    """Seals the bundle's files as they are now."""
    manifest = {"format": FORMAT, "version": version, "files": {name: _digest(folder / name) for name in FILES}}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def find_bundle(name: str, models_dir: Path | None = None) -> Path:
    """The folder of a bundle named by its path, or by its name in `models_dir`; without one, in the `models` folder of
    the checkout that this package runs from. Raises BundleError."""
    if "/" in name or name.startswith("."):
        return Path(name)
    places = [models_dir] if models_dir else [parent / "models" for parent in Path(__file__).resolve().parents]
    for place in places:
        if (place / name / "manifest.json").is_file():
            return place / name
    where = models_dir or "the checkout's models folder; set VOZ_MODELS_DIR where there is no checkout"
    raise BundleError(f"no bundle {name} in {where}")


def _head(name: str, described: Mapping[str, Any]) -> Head:
    labels, thresholds = described["labels"], described.get("thresholds", [])
    if not isinstance(labels, list) or sorted(labels) != sorted(HEADS[name]):
        raise ValueError(f"head {name} must have exactly the labels {', '.join(HEADS[name])}")
    if not isinstance(thresholds, list) or len(thresholds) != (len(labels) if name == "intents" else 0):
        raise ValueError(f"head {name}: thresholds belong to intents, one for each label")
    temperature = float(described["temperature"])
    if not temperature > 0:
        raise ValueError(f"head {name}: temperature must be above 0")
    return Head(tuple(labels), temperature, tuple(float(each) for each in thresholds))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path}: must hold a JSON object")
    return content


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from error
