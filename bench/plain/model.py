"""A sentiment model for the plain stack: the base encoder with a random three-label head. The arithmetic is right, the
labels mean nothing. Needs the extra `hf` of voz-enrich.

python model.py BASE_FOLDER TARGET_FOLDER
"""

from __future__ import annotations

import sys

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer


def main() -> None:
    base, target = sys.argv[1:3]
    torch.manual_seed(0)
    labels = dict(enumerate(("negative", "neutral", "positive")))
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3, id2label=labels, dtype=torch.float32)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(base).save_pretrained(target)


if __name__ == "__main__":
    main()
