"""A plain Faust worker with a Table, that prints the offsets its agent sees; run by test_faust_recovery.py.

The race it is about lasts milliseconds by nature. Here the seek to the committed offsets is held back until Faust is
handing out what it fetched before it, or for two seconds when it doesn't. RACE_REPAIR=1 installs the repair.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import faust

from voz_enrich.adapters.inbound.faust_recovery import repair_recovery


async def main() -> None:
    """Print each offset until standard input closes."""
    if os.environ["RACE_REPAIR"] == "1":
        repair_recovery()
    app = faust.App(
        os.environ["RACE_GROUP"],
        broker=f"kafka://{os.environ['VOZ_KAFKA_BOOTSTRAP']}",
        store="memory://",
        datadir=os.environ["RACE_FOLDER"],
        key_serializer="raw",
        value_serializer="raw",
        autodiscover=False,
        web_enabled=False,
        topic_partitions=1,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=0.2,
    )
    source = app.topic(os.environ["RACE_TOPIC"], key_type=bytes, value_type=bytes, partitions=1)
    table = app.Table("seen", key_type=bytes, value_type=bytes, partitions=1)

    async def seen(stream: Any) -> None:
        async for event in stream.events():
            await asyncio.sleep(0.005)  # slower than Faust hands out: what is lost is lost on the way to the agent
            table[event.key] = event.value
            print(event.message.offset, flush=True)

    app.agent(source, name="seen")(seen)
    seek = type(app.consumer).perform_seek

    async def late_seek(consumer: Any) -> None:
        for _ in range(2000):
            if any((offset or 0) > 150 for offset in consumer._read_offset.values()):
                break
            await asyncio.sleep(0.001)
        await seek(consumer)

    setattr(type(app.consumer), "perform_seek", late_seek)  # noqa: B010  # a plain assignment isn't typed
    running = asyncio.create_task(app.start())
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await app.stop()
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main())
