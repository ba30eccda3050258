"""The plain stack's enrich: one `pipeline()` call an event, on the event loop. Needs the extra `hf` of voz-enrich.

python -m faust -A enrich worker -l warn --without-web   (MODEL: a folder that `plain/model.py` made)
"""

from __future__ import annotations

import json
import os

import faust
import torch
from transformers import pipeline

torch.set_num_threads(1)
app = faust.App(
    "plain-enrich",
    broker="kafka://" + os.environ["VOZ_KAFKA_BOOTSTRAP"],
    store="memory://",
    datadir=os.environ["FAUST_DATADIR"],
    key_serializer="raw",
    value_serializer="raw",
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
    topic_partitions=8,
)
events = app.topic("plain.events", key_type=bytes, value_type=bytes)
enriched = app.topic("plain.enriched", key_type=bytes, value_type=bytes)
classify = pipeline("text-classification", model=os.environ["MODEL"], device="cpu")


@app.agent(events)
async def enrich(stream: faust.StreamT[bytes]) -> None:
    async for event in stream.events():
        record = json.loads(event.value)
        record["sentiment"] = classify(record["text"], truncation=True, max_length=128)[0]["label"]
        await enriched.send(key=event.key, value=json.dumps(record).encode())
