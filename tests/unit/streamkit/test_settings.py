"""Settings: shared names stay, a service's own take its prefix, and what is wrong is said by variable."""

from __future__ import annotations

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from voz_contracts.topics import EVENTS
from voz_streamkit.run import read_settings
from voz_streamkit.settings import DatabaseSettings, describe


class Settings(DatabaseSettings):
    model_config = SettingsConfigDict(env_prefix="VOZ_SAMPLE_")

    port: int = Field(8001, gt=0, description="Where it listens.")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("VOZ_POSTGRES_DSN", "postgresql://u:secret@h/d")
    monkeypatch.delenv("VOZ_TOPIC_PREFIX", raising=False)
    return monkeypatch


def test_shared_and_own_names(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("VOZ_SAMPLE_PORT", "9")
    environment.setenv("VOZ_TOPIC_PREFIX", "blue-")
    settings = read_settings(Settings)
    assert settings.port == 9
    assert settings.topic(EVENTS) == "blue-voz.events"
    assert settings.queue_topic("care") == "blue-voz.queue.care"
    assert "secret" not in repr(settings)


def test_what_is_wrong_is_said_by_variable(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    environment.setenv("VOZ_SAMPLE_PORT", "-1")
    environment.delenv("VOZ_POSTGRES_DSN")
    with pytest.raises(SystemExit) as stopped:
        read_settings(Settings)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "VOZ_SAMPLE_PORT: Input should be greater than 0" in said
    assert "VOZ_POSTGRES_DSN: Field required" in said


def test_describe_lists_every_variable() -> None:
    text = describe(Settings)
    assert "VOZ_SAMPLE_PORT" in text
    assert "VOZ_POSTGRES_DSN" in text
    assert "(required)" in text
