"""A real browser, and ingest as a process of its own for it to speak to."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright
from tests.integration.ingest.conftest import start_ingest

from voz_devstack.browser import browser as fetch_browser
from voz_devstack.jars import default_cache

__all__ = ["start_ingest"]


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """Headless Chromium; it ends with the test."""
    found = fetch_browser(default_cache() / "chromium", lambda words: print(words, file=sys.stderr))
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(
            executable_path=found.executable, env=dict(found.environment), args=found.arguments
        )
        yield opened
        await opened.close()
