"""How many messages a second the model alone understands, in turns, on the same real messages and all cores.

The bundle as it ships, on all cores and on one, in batches and one text at a time; the same network in fp32 and the
teacher it learnt from, where `make model` left them in build/; and a transformers pipeline over the same encoder, one
text at a time, where torch is installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from common import ROOT, in_turns, ratio, report, texts

from voz_enrich.adapters.outbound.models import DEFAULT_MODEL
from voz_enrich.cores import available_cores

COUNT, ROUNDS = 2000, 3
CONFIG = tomllib.loads((ROOT / "models" / "training" / "config.toml").read_text(encoding="utf-8"))
BUILD = ROOT / "build" / CONFIG["version"]
BASE = Path(os.environ.get("VOZ_BASE_MODEL") or ROOT / CONFIG["base"])
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
    cores = available_cores()
    made = texts(COUNT)
    ways: dict[str, Callable[[], float]] = {
        f"{DEFAULT_MODEL}, {cores} threads, 256 at once": partial(run, BUNDLE, made, DEFAULT_MODEL, cores, 256),
        f"{DEFAULT_MODEL}, 1 thread, 256 at once": partial(run, BUNDLE, made, DEFAULT_MODEL, 1, 256),
        f"{DEFAULT_MODEL}, 1 thread, one at a time": partial(run, BUNDLE, made[:500], DEFAULT_MODEL, 1, 1),
    }
    for name, words in (("student", "the same network in fp32"), ("teacher", "the teacher, 12 layers, fp32")):
        if (BUILD / name / "manifest.json").is_file():
            ways[f"{words}, {cores} threads"] = partial(run, BUNDLE, made[:500], f"bundle:{BUILD / name}", cores, 256)
    if importlib.util.find_spec("torch") and BASE.is_dir():
        ways[f"transformers.pipeline, 12 layers, {cores} threads, one at a time"] = partial(
            run, PIPELINE, made[:200], str(BASE), cores
        )
    measured = dict(zip(ways, in_turns(ROUNDS, *ways.values()), strict=True))
    first = next(iter(measured.values()))
    report(
        "model",
        [(f"{name}, messages/s", f"{median(values):,.0f}") for name, values in measured.items()],
        {f"to: {name}": ratio(first, values) for name, values in list(measured.items())[1:]},
        {name: round(median(values), 1) for name, values in measured.items()},
    )


def run(script: str, made: list[str], *arguments: object) -> float:
    """Messages a second, in a process of its own."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, input=json.dumps(made), capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
