"""How many messages a second the model alone understands, in turns, on the same real messages.

The bundle as it ships: on all cores, on one, in batches and one text at a time, in one process with as many threads as
cores and in as many processes; and what its graph spends its time on. Where torch and the base encoder are at hand,
also the same in fp32 and with half of the layers (speed doesn't depend on what the weights have learnt), and a
transformers pipeline, one text at a time.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
from common import ROOT, in_turns, ratio, report, say, texts

from voz_enrich.adapters.outbound.bundle import find_bundle
from voz_enrich.adapters.outbound.models import DEFAULT_BUNDLE, DEFAULT_MODEL
from voz_enrich.cores import available_cores

COUNT, ROUNDS = 2000, 3
TRAINING = ROOT / "models" / "training"
CONFIG = tomllib.loads((TRAINING / "config.toml").read_text(encoding="utf-8"))
BASE = Path(os.environ.get("VOZ_BASE_MODEL") or ROOT / CONFIG["base"])
SHAPES = {  # name -> every so many of its layers, whether products are of integers
    "12 layers, fp32": (1, False),
    "12 layers, integers": (1, True),
    "6 layers, fp32": (2, False),
    "6 layers, integers": (2, True),
}
BUNDLE = """
import json, sys, time
from voz_enrich.adapters.outbound.models import open_model
name, threads, together = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
texts = json.load(sys.stdin)
model = open_model(name, threads=threads)
model.analyse(texts[:64])
began = time.perf_counter()
for start in range(0, len(texts), together):
    model.analyse(texts[start : start + together])
print(len(texts) / (time.perf_counter() - began))
"""
PIPELINE = """
import json, sys, time, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
base, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
texts = json.load(sys.stdin)
model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3)
classify = pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(base), device="cpu")
classify(texts[0])
began = time.perf_counter()
for text in texts:
    classify(text, truncation=True, max_length=128)
print(len(texts) / (time.perf_counter() - began))
"""


def main() -> None:
    """Measures all ways in turns; each ratio is to the first."""
    cores, made = available_cores(), texts(COUNT)
    shipped = DEFAULT_MODEL
    ways: dict[str, Callable[[], float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        if importlib.util.find_spec("torch") and BASE.is_dir():
            ways[f"transformers.pipeline, 12 layers, {cores} threads, one at a time"] = partial(
                run, PIPELINE, made[:200], str(BASE), cores
            )
            for name, place in shaped(Path(folder)).items():
                few = made[:500] if "fp32" in name else made
                ways[f"{name}, {cores} threads"] = partial(run, BUNDLE, few, f"bundle:{place}", cores, 256)
        ways |= {
            f"{shipped}, one at a time": partial(run, BUNDLE, made[:500], shipped, 1, 1),
            f"{shipped}, 1 thread": partial(run, BUNDLE, made, shipped, 1, 256),
            f"{shipped}, {cores} processes": partial(side_by_side, cores, BUNDLE, made, shipped, 1, 256),
            f"{shipped}, {cores} threads": partial(run, BUNDLE, made, shipped, cores, 256),
        }
        measured = dict(zip(ways, in_turns(ROUNDS, *ways.values()), strict=True))
    first, *others = measured
    shares = shares_of(find_bundle(DEFAULT_BUNDLE) / "model.onnx")
    report(
        "model",
        [(f"{name}, messages/s", f"{median(values):,.0f}") for name, values in measured.items()]
        + [(f"{operator}, of the graph's time", f"{share:.0%}") for operator, share in shares[:5]],
        {f"{name}, to the first": ratio(measured[name], measured[first]) for name in others},
        {name: round(median(values), 1) for name, values in measured.items()},
    )


def shaped(folder: Path) -> dict[str, Path]:
    """A bundle of each of SHAPES, its layers as the base has them."""
    sys.path.insert(0, str(TRAINING))
    from network import SignalNetwork
    from train import export

    made = {}
    for number, (name, (step, integers)) in enumerate(SHAPES.items()):
        say(f"building: {name}")
        network = SignalNetwork(BASE)
        network.layers = network.layers[::step]
        export(network, folder / str(number), integers=integers)
        made[name] = folder / str(number)
    return made


def shares_of(graph: Path) -> list[tuple[str, float]]:
    """What each kind of operator takes of a graph's time, 0..1, the most first: one thread, batches of 16 texts of 28
    tokens, by ONNX Runtime's own profiler."""
    ids = np.arange(16 * 28).reshape(16, 28) + 100
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_profiling = True
        options.profile_file_prefix = f"{folder}/profile"
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        for _ in range(50):
            session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        seen = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    spent: Counter[str] = Counter()
    for each in seen:
        if each.get("cat") == "Node" and each["name"].endswith("kernel_time"):
            spent[each["args"]["op_name"]] += each["dur"]
    return [(operator, time / spent.total()) for operator, time in spent.most_common()]


def side_by_side(processes: int, script: str, made: list[str], *arguments: object) -> float:
    """Messages a second of so many processes together, the texts dealt out among them."""
    with ThreadPoolExecutor(processes) as pool:
        shares = [pool.submit(run, script, made[each::processes], *arguments) for each in range(processes)]
        return sum(share.result() for share in shares)


def run(script: str, made: list[str], *arguments: object) -> float:
    """Messages a second, in a process of its own."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, input=json.dumps(made), capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
