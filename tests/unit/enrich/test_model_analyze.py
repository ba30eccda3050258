"""`voz-enrich analyze`: every good line is answered in order, every bad one is named."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from voz_enrich.adapters.outbound.models import DEFAULT_BUNDLE
from voz_enrich.adapters.outbound.reading import nothing_to_read
from voz_enrich.analyze import answer, main
from voz_enrich.domain.signals import TextSignals

pytestmark = pytest.mark.unit


class EchoModel:
    """A `SignalModel` that knows nothing and calls the hint the language."""

    version = "echo-1"

    def analyse(self, texts: Sequence[str], languages: Sequence[str | None] | None = None) -> list[TextSignals]:
        return [replace(nothing_to_read(), language=hint or "und") for hint in languages or [None] * len(texts)]


def run(*lines: bytes) -> tuple[list[dict[str, object]], list[str], int]:
    output, errors = io.StringIO(), io.StringIO()
    bad = answer(EchoModel(), io.BytesIO(b"\n".join(lines)), output, errors)
    return [json.loads(line) for line in output.getvalue().splitlines()], errors.getvalue().splitlines(), bad


def test_an_answer_has_the_promised_fields_in_order() -> None:
    answers, errors, bad = run(b'{"id": "a", "text": "hola", "language": "es", "channel": "chat"}')
    assert (errors, bad) == ([], 0)
    assert list(answers[0]) == [
        "id", "language", "sentiment", "sentiment_score", "emotion", "intents", "topic", "effort", "stage", "scores",
        "model",
    ]  # fmt: skip
    assert (answers[0]["id"], answers[0]["language"], answers[0]["model"]) == ("a", "es", "echo-1")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "Expecting"),
        (b'"text"', "must be an object"),
        (b'{"text": "x"}', "id must be"),
        (b'{"id": true, "text": "x"}', "id must be"),
        (b'{"id": 1}', "text must be"),
        (b'{"id": 1, "text": null}', "text must be"),
        (b'{"id": 1, "text": "x", "language": 5}', "language must be"),
        (b'{"id": 1, "text": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_answered(line: bytes, reason: str) -> None:
    answers, errors, bad = run(b'{"id": 1, "text": "x"}', line, b"", b'{"id": 2, "text": "y"}')
    assert [each["id"] for each in answers] == [1, 2]
    assert bad == 1
    assert len(errors) == 1
    assert errors[0].startswith("input:2: ")
    assert reason in errors[0]


def test_an_id_that_no_encoding_can_write_comes_back_as_it_came() -> None:
    answers, _, bad = run(b'{"id": "\\ud83d", "text": "\\ud83d\\u0000"}')
    assert (answers[0]["id"], bad) == ("\ud83d", 0)


def test_many_lines_keep_their_order() -> None:
    lines = [json.dumps({"id": number, "text": "x"}).encode() for number in range(1_000)]
    assert [each["id"] for each in run(*lines)[0]] == list(range(1_000))


def test_the_command_answers_files_and_says_by_its_status_what_went_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text('{"id": "a", "text": "Danke, der Monteur war super freundlich!"}\n', encoding="utf-8")
    bad.write_text('{"id": "b", "text": "ok"}\nnonsense\n', encoding="utf-8")

    assert main([str(good)], {}) == 0
    answered = json.loads(capsys.readouterr().out)
    assert (answered["id"], answered["language"], answered["model"]) == ("a", "de", DEFAULT_BUNDLE)

    assert main(["--threads", "1", str(good), str(bad)], {}) == 1
    captured = capsys.readouterr()
    assert [json.loads(line)["id"] for line in captured.out.splitlines()] == ["a", "b"]
    assert captured.err.startswith(f"{bad}:2: ")

    assert main([str(tmp_path / "absent.jsonl")], {}) == 2
    assert main(["--model", "bundle:absent"], {}) == 2
    assert main([], {"VOZ_ENRICH_MODEL": "nonsense"}) == 2


def test_help_names_the_model_in_force(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"], {"VOZ_ENRICH_MODEL": "bundle:another"})
    assert left.value.code == 0
    assert "bundle:another" in capsys.readouterr().out
