"""The plain stack's ingest: parse with pydantic, send, wait. `/v1/null` parses only."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from fastapi import FastAPI
from pydantic import BaseModel

TOPIC = "plain.events"


class Customer(BaseModel):
    id: str
    handle: str = ""


class Event(BaseModel):
    id: str
    channel: str
    customer: Customer
    text: str
    attributes: dict[str, str] = {}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    bootstrap = os.environ["VOZ_KAFKA_BOOTSTRAP"]
    app.state.producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await app.state.producer.start()
    yield
    await app.state.producer.stop()


def create_app() -> FastAPI:
    """Made by uvicorn's `--factory`, so that importing does nothing."""
    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/events", status_code=202)
    async def receive(event: Event) -> dict[str, str]:
        await app.state.producer.send_and_wait(TOPIC, event.model_dump_json().encode(), key=event.customer.id.encode())
        return {"id": event.id}

    @app.post("/v1/null", status_code=202)
    async def null(event: Event) -> dict[str, str]:
        return {"id": event.id}

    return app
