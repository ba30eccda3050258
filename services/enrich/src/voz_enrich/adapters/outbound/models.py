"""Opens the model that a setting names."""

from collections.abc import Mapping
from pathlib import Path

from voz_enrich.adapters.outbound.bundle import find_bundle, load_bundle
from voz_enrich.adapters.outbound.hf_model import HfSentimentModel
from voz_enrich.adapters.outbound.language import Py3LangidIdentifier
from voz_enrich.adapters.outbound.onnx_model import OnnxSignalModel
from voz_enrich.domain.labels import Sentiment
from voz_enrich.ports import SignalModel

DEFAULT_BUNDLE = "voz-signals-5"
DEFAULT_MODEL = f"bundle:{DEFAULT_BUNDLE}"


def open_model(
    name: str, *, threads: int, models_dir: Path | None = None, label_map: Mapping[str, Sentiment] | None = None
) -> SignalModel:
    """`bundle:<name or folder>` is that bundle; `hf:<name or folder>` a transformers model for sentiment, beside the
    default bundle for the rest. Raises BundleError, HfModelError, or ValueError for another name."""
    kind, _, rest = name.partition(":")
    if kind not in ("bundle", "hf") or not rest:
        raise ValueError(f"{name!r} is no model: bundle:<name or folder> or hf:<name or folder>")
    bundle = load_bundle(find_bundle(rest if kind == "bundle" else DEFAULT_BUNDLE, models_dir))
    signals = OnnxSignalModel(bundle, Py3LangidIdentifier(), threads)
    return signals if kind == "bundle" else HfSentimentModel(rest, label_map or {}, signals, threads)
