"""Makes the model bundle that config.toml describes: `make model` (`make model-research`: the one that doesn't ship).

The encoder learns from the corpus and the sets; its weights become integers; its probabilities are calibrated on the
validation split. Interrupted, it goes on after the last epoch.
"""

import argparse
import json
import os
import shutil
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import encoder
import numpy as np
import torch
from calibration import Reading, readings
from corpus import read_corpus
from learning import Lessons, OtherStateError, Plan, learn
from network import SignalNetwork, linear_inputs, mean_vectors
from sets import Example, read_set

from voz_enrich.adapters.outbound.batches import width
from voz_enrich.adapters.outbound.bundle import HEADS, VECTOR, write_manifest
from voz_enrich.adapters.outbound.onnx_model import open_session
from voz_enrich.adapters.outbound.tokens import Tokens
from voz_enrich.cores import available_cores
from voz_enrich.domain.text import cleaned

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG: dict[str, Any] = tomllib.loads((Path(__file__).parent / "config.toml").read_text(encoding="utf-8"))


def main() -> None:
    """Trains, calibrates and seals the bundle; its card says so until it is evaluated."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--research", action="store_true", help="add the research-only sets; stays in build/")
    parser.add_argument("--threads", type=int, default=available_cores(), help="of torch (%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    build = work_folder(research=options.research)
    write_tokenizer(base_folder(), build / "fp32")
    tokens = Tokens.read(build / "fp32", CONFIG["learnt_tokens"])

    try:
        network = trained(tokens, build, research=options.research)
    except OtherStateError as error:
        sys.exit(str(error))
    export(network, build / "fp32", integers=False)
    if options.research:
        print("`make model-eval RESEARCH=1` judges it")
        return
    bundle = REPOSITORY / CONFIG["bundle"]
    export(network, bundle, integers=True)
    size = sum(path.stat().st_size for path in bundle.iterdir())
    print(f"{bundle.relative_to(REPOSITORY)}: {size / 1e6:.1f} MB; `make model-eval` judges it")


def work_folder(*, research: bool) -> Path:
    """Where unfinished and intermediate work is kept."""
    return REPOSITORY / "build" / ("research" if research else CONFIG["version"])


def base_folder() -> Path:
    """The encoder to begin with."""
    return Path(os.environ.get("VOZ_BASE_MODEL") or REPOSITORY / CONFIG["base"])


def trained(tokens: Tokens, build: Path, *, research: bool) -> SignalNetwork:
    """The base, fine-tuned on all that is labelled: the mean of several runs' weights; of one for research."""
    corpus = [message.example for message in read_corpus(REPOSITORY / CONFIG["corpus"], "train")]
    examples, weights = corpus * CONFIG["corpus_repeats"], [1.0] * (len(corpus) * CONFIG["corpus_repeats"])
    for uses, weight in [(CONFIG["use"], CONFIG["set_weight"])] + ([(CONFIG["research"], 1.0)] if research else []):
        others = [example for name, rows in uses.items() for example in drawn(name, rows)]
        examples, weights = examples + others, weights + [weight] * len(others)
    lessons = Lessons.of(rows_of(tokens, examples), examples, weights)
    plan = Plan(seed=CONFIG["seed"], **CONFIG["learning"])
    runs, wanted = [], 1 if research else CONFIG["runs"]
    for run in range(wanted):
        torch.manual_seed(CONFIG["seed"])  # the same heads to begin with: else the mean of two networks isn't one
        network = SignalNetwork(base_folder())
        folder = build / f"run-{run + 1}"
        folder.mkdir(exist_ok=True)
        print(f"run {run + 1} of {wanted}")
        learn(network, lessons, replace(plan, seed=plan.seed + run), folder)
        runs.append(network.state_dict())
    network.load_state_dict(mean_of(runs))
    return network


def mean_of(states: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of networks, weight by weight ("model soups", Wortsman et al., ICML 2022)."""
    return {name: torch.stack([each[name] for each in states]).mean(0) for name in states[0]}


def export(network: SignalNetwork, bundle: Path, *, integers: bool) -> None:
    """The network as a bundle, calibrated as it will be run: with products of integers, which are several times as
    quick, or of fp32 numbers, to compare with."""
    write_tokenizer(base_folder(), bundle)
    tokens = Tokens.read(bundle, CONFIG["max_tokens"])
    validation = [message.example for message in read_corpus(REPOSITORY / CONFIG["corpus"], "validation")]
    rows = rows_of(tokens, validation)
    ranges = ranges_of(network, rows) if integers else None
    graph = encoder.build(weights_of(network), shape_of(network), ranges, CONFIG["max_tokens"])
    heads = {
        head: (layer.weight.detach().numpy().T, layer.bias.detach().numpy()) for head, layer in network.heads.items()
    }
    heads[VECTOR] = whitening(mean_vectors(network, rows, "vectors"))
    encoder.add_heads(graph, heads, network.pooling.weight.detach().numpy().T)
    outputs = {name: len(bias) for name, (_, bias) in heads.items()}
    model = encoder.model(graph, outputs, f"{CONFIG['version']}: signals of customers' messages")
    (bundle / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    lessons = Lessons.of(rows, validation, [1.0] * len(rows))
    logits = run_graph(bundle / "model.onnx", tokens, rows)
    classes = {head: values.numpy() for head, values in lessons.classes.items()}
    write_labels(bundle, readings(logits, classes, lessons.intents.numpy()))
    (bundle / "card.md").write_text(f"# {CONFIG['version']}\n\nNot evaluated yet.\n", encoding="utf-8")
    write_manifest(bundle, CONFIG["version"])


def whitening(vectors: np.ndarray) -> tuple[encoder.Array, encoder.Array]:
    """What turns vectors, [texts, size], into ones that differ as much in every direction: weight, [size, size], and
    bias. An encoder that learnt to tell sentiment and intent puts these first; what a text is about comes after.
    Directions with under a hundredth of the mean variance are left small: they are noise."""
    middle = vectors.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(np.cov((vectors - middle).T))
    weight = directions / np.sqrt(variances + 0.01 * variances.mean()) @ directions.T
    return weight.astype(np.float32), (-middle @ weight).astype(np.float32)


def drawn(name: str, rows: int) -> list[Example]:
    """So many rows of a set, at random."""
    examples = read_set(name, REPOSITORY / CONFIG["sets"])
    order = np.random.default_rng([CONFIG["seed"], *name.encode()]).permutation(len(examples))
    return [examples[index] for index in order[:rows]]


def rows_of(tokens: Tokens, examples: Sequence[Example]) -> list[list[int]]:
    """The tokens of each text."""
    return tokens.ids([cleaned(example.text) for example in examples])


def weights_of(network: SignalNetwork) -> Mapping[str, encoder.Array]:
    """The network's weights by name, fp32."""
    return {name: value.detach().numpy() for name, value in network.state_dict().items()}


def shape_of(network: SignalNetwork) -> encoder.EncoderShape:
    """Its sizes. Raises ValueError for an activation that the graph doesn't speak of."""
    config = network.config
    if config.hidden_act != "gelu":
        raise ValueError(f"the base must use gelu, not {config.hidden_act}")
    return encoder.EncoderShape(
        config.hidden_size, config.num_attention_heads, len(network.layers), config.layer_norm_eps
    )


def ranges_of(network: SignalNetwork, rows: Sequence[Sequence[int]]) -> encoder.Ranges:
    """The lowest and the highest value of each channel that goes into each linear module; the mean over batches, so
    that one odd text doesn't coarsen the grid for all."""
    found: dict[str, list[np.ndarray]] = {}
    for name, values in linear_inputs(network, rows):
        found.setdefault(name, []).append(np.stack([values.min(axis=0), values.max(axis=0)]))
    return {name: tuple(np.mean(batches, axis=0)) for name, batches in found.items()}


def run_graph(path: Path, tokens: Tokens, rows: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
    """The logits of each head, [rows, labels], by the graph itself."""
    session = open_session(path)
    results: dict[str, list[np.ndarray]] = {head: [] for head in HEADS}
    for row in rows:
        ids, mask = tokens.padded([row], width(len(row)))
        for head, values in zip(
            HEADS, session.run(list(HEADS), {"input_ids": ids, "attention_mask": mask}), strict=True
        ):
            results[head].append(values[0])
    return {head: np.stack(values) for head, values in results.items()}


def write_tokenizer(base: Path, bundle: Path) -> None:
    """The base's tokenizer, without blanks and with its scores to 4 decimals: half a megabyte less to download."""
    bundle.mkdir(parents=True, exist_ok=True)
    tokenizer = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["model"]["vocab"] = [[piece, round(score, 4)] for piece, score in tokenizer["model"]["vocab"]]
    text = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (bundle / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    shutil.copyfile(base / "tokenizer_config.json", bundle / "tokenizer_config.json")


def write_labels(bundle: Path, heads: Mapping[str, Reading]) -> None:
    """labels.json: how each head's logits are read."""
    described: dict[str, dict[str, Any]] = {}
    for head, reading in heads.items():
        described[head] = {"labels": [str(label) for label in HEADS[head]], "temperature": reading.temperature}
        if reading.thresholds:
            described[head]["thresholds"] = list(reading.thresholds)
    text = json.dumps({"max_tokens": CONFIG["max_tokens"], "heads": described}, indent=2)
    (bundle / "labels.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
