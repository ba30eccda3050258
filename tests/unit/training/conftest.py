from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="package")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkpoint of a BERT encoder: two layers, every weight and bias random. One thread is quickest for it."""
    import torch
    import transformers

    library: Any = transformers
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("base")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = library.BertModel(
            library.BertConfig(
                vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
                max_position_embeddings=24,
            ),
            add_pooling_layer=False,
        )  # fmt: skip
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.4)
        model.save_pretrained(folder)
    yield folder
    torch.set_num_threads(threads)
