"""Small transformers checkpoints, as their makers publish them: random weights, a tokenizer trained here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

TEXTS = [
    "the parcel is late again and nobody answers",
    "thank you, Marta solved it in two minutes",
    "what time do you open on Saturday?",
    "estoy harta, tercera vez que me cobráis dos veces",
]


def save_checkpoint(
    folder: Path,
    labels: Sequence[str],
    *,
    architecture: str = "bert",
    says: int | None = None,
    pad_token: str | None = "[PAD]",
    positions: int = 64,
    **config: Any,
) -> Path:
    """A classifier of this architecture (`bert`, `distilbert`, `roberta`, `xlm-roberta`) with these labels.

    says: the label, by its number, that it gives to any text with a probability above 0.9; None: what random weights
    say. Skips the test where torch isn't installed.
    """
    torch = pytest.importorskip("torch", reason="the optional extra [hf] isn't installed", exc_type=ImportError)
    import transformers

    library: Any = transformers
    tokenizer = save_tokenizer(folder, pad_token)
    torch.manual_seed(5)
    names = dict(enumerate(labels))
    shape = (
        {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
        if architecture == "distilbert"
        else {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    )
    described = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": positions,
        "initializer_range": 0.5,
        "pad_token_id": tokenizer.pad_token_id or 0,
        "id2label": names,
        "label2id": {name: number for number, name in names.items()},
        **shape,
        **config,
    }
    made = library.AutoConfig.for_model(architecture, **described)
    model = library.AutoModelForSequenceClassification.from_config(made)
    if says is not None:
        last = getattr(model.classifier, "out_proj", model.classifier)
        with torch.no_grad():
            last.weight.zero_()
            last.bias.zero_()
            last.bias[says] = 5.0
    model.save_pretrained(folder)
    return folder


def save_tokenizer(folder: Path, pad_token: str | None = "[PAD]") -> Any:
    """A tokenizer of a few hundred pieces, with or without a token to pad with."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pieces.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special))
    pieces.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(each, special.index(each)) for each in ("[CLS]", "[SEP]")]
    )
    library: Any = transformers
    tokenizer = library.PreTrainedTokenizerFast(
        tokenizer_object=pieces, pad_token=pad_token, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    tokenizer.save_pretrained(folder)
    return tokenizer
