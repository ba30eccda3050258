"""The companies' own topics in force: those of the file's last version without an error."""

from __future__ import annotations

import asyncio
from pathlib import Path

from voz_enrich.adapters.inbound.topics_yaml import parse_topics
from voz_enrich.adapters.outbound.topic_space import TopicSpaces
from voz_enrich.domain.own_topics import OwnTopicMatch
from voz_enrich.ports import SignalModel
from voz_streamkit.metrics import Metrics
from voz_streamkit.reload import ReloadingFile

_POLL_SECONDS = 1.0


class LiveTopics:
    """Implements the port `OwnTopicMatcher` over a file that may change."""

    def __init__(self, path: Path, model: SignalModel, metrics: Metrics) -> None:
        """Reads the file and places its topics, which takes a few milliseconds an example. Raises FileError."""
        self._file = ReloadingFile(path, lambda written: TopicSpaces(parse_topics(written), model), metrics)

    def match(self, tenant: str, vector: bytes) -> OwnTopicMatch | None:
        """The one topic of the tenant's own that a text with this vector is given; None for none."""
        return self._file.value.match(tenant, vector)

    def refresh(self) -> None:
        """Take the file if it changed. One with an error is logged with its line and counted, and the old one stays."""
        self._file.refresh()

    async def follow(self) -> None:
        """Take new versions of the file, for ever, off the event loop."""
        while True:
            await asyncio.to_thread(self.refresh)
            await asyncio.sleep(_POLL_SECONDS)
