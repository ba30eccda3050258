"""A bundle's tokens are those that transformers gives, which reads the same files and isn't needed for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from voz_enrich.adapters.outbound.bundle import find_bundle
from voz_enrich.adapters.outbound.models import DEFAULT_BUNDLE
from voz_enrich.adapters.outbound.tokens import Tokens
from voz_enrich.domain.text import cleaned

from .odd_texts import ODD_TEXTS
from .test_signal_model import corpus_texts

pytestmark = pytest.mark.contract
BUNDLE = find_bundle(DEFAULT_BUNDLE)
SPECIAL = [
    "<s> a </s>",
    "a<pad>b",
    " <unk> ",
    "x <mask> y",
    "<S>",
    "\u2581\u2581 x",
    "\ufb01 \u2460 A\u030a",
    "\u3000x\u00a0y",
]
OPENING = """
import sys
from voz_enrich.adapters.outbound.models import DEFAULT_MODEL, open_model
open_model(DEFAULT_MODEL, threads=1).analyse(["ok"])
print(*sorted({"torch", "transformers"} & sys.modules.keys()))
"""


def test_ids_are_those_of_transformers() -> None:
    transformers = pytest.importorskip("transformers", reason="the optional extra [hf] isn't installed")
    theirs = transformers.AutoTokenizer.from_pretrained(BUNDLE)
    raw = [text for text in ODD_TEXTS.values() if text.isascii()]  # no lone surrogates: no tokenizer takes them
    texts = [*(cleaned(text) for text in [*corpus_texts(), *ODD_TEXTS.values()]), *raw, *SPECIAL]
    tokens = Tokens.read(BUNDLE, 128)
    assert tokens.ids(texts) == theirs(texts, truncation=True, max_length=128)["input_ids"]
    assert tokens.padded([[]], 1)[0].tolist() == [[theirs.pad_token_id]]


def test_the_bundle_runs_without_torch_and_transformers() -> None:
    ran = subprocess.run([sys.executable, "-c", OPENING], capture_output=True, text=True, check=True)
    assert ran.stdout == "\n"


@pytest.mark.parametrize("content", [None, "", "{}", "null", "{"])
def test_a_tokenizer_that_cannot_be_read_is_refused_by_name(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content, encoding="utf-8")
    with pytest.raises((OSError, ValueError), match=r"tokenizer\.json"):
        Tokens.read(tmp_path, 128)


@pytest.mark.parametrize("settings", ["{", "[]", "{}", *map(json.dumps, ({"pad_token": None}, {"pad_token": "[PAD]"}))])
def test_a_tokenizer_that_cannot_pad_is_refused_by_name(tmp_path: Path, settings: str) -> None:
    (tmp_path / "tokenizer.json").symlink_to(BUNDLE / "tokenizer.json")
    (tmp_path / "tokenizer_config.json").write_text(settings, encoding="utf-8")
    with pytest.raises(ValueError, match=r"tokenizer_config\.json: must name a padding token"):
        Tokens.read(tmp_path, 128)
