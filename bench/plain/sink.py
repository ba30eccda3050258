"""The plain stack's sink: one ORM insert and one commit an event."""

from __future__ import annotations

import asyncio
import json
import os

from aiokafka import AIOKafkaConsumer
from sqlalchemy import BigInteger, Text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "plain_enriched"
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[str] = mapped_column(Text)
    sentiment: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)


async def main() -> None:
    dsn = os.environ["VOZ_POSTGRES_DSN"].replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(dsn)
    sessions = async_sessionmaker(engine)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    consumer = AIOKafkaConsumer(
        "plain.enriched",
        bootstrap_servers=os.environ["VOZ_KAFKA_BOOTSTRAP"],
        group_id="plain-sink",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    async for message in consumer:
        record = json.loads(message.value)
        async with sessions() as session:
            session.add(Row(id=record["id"], sentiment=record["sentiment"], text=record["text"]))
            await session.commit()
        await consumer.commit()


if __name__ == "__main__":
    asyncio.run(main())
