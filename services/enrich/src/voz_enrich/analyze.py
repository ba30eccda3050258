"""`voz-enrich analyze`: the signals of texts, from JSON lines to JSON lines."""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from voz_enrich.adapters.inbound.topics_yaml import read_topics
from voz_enrich.adapters.outbound.bundle import BundleError
from voz_enrich.adapters.outbound.hf_model import HfModelError, parse_label_map
from voz_enrich.adapters.outbound.models import DEFAULT_MODEL, open_model
from voz_enrich.adapters.outbound.topic_space import TopicSpace, TopicSpaces
from voz_enrich.cores import available_cores
from voz_enrich.domain.signals import TextSignals
from voz_enrich.explain import MAX_WORDS, drawn, explain, word_count
from voz_enrich.ports import SignalModel
from voz_enrich.terminal import printable, wants_colour
from voz_streamkit.reload import FileError

_LINES_AT_ONCE = 256  # enough for full batches of like length, little enough to see answers come


@dataclass(frozen=True, slots=True)
class Line:
    """One line that can be answered."""

    id: str | int
    text: str
    language: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for beside the signals. topics: a company's own. drawn: explanations for people, in colour or not;
    None: as JSON, with all the rest."""

    topics: TopicSpace | None = None
    explain: bool = False
    drawn: bool | None = None


def main(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Runs the command; 1 when a line was bad (the others are answered), 2 when a model or a file can't be opened."""
    options = _arguments(environ).parse_args(argv)
    try:
        model = open_model(
            options.model,
            threads=options.threads,
            models_dir=Path(environ["VOZ_MODELS_DIR"]) if environ.get("VOZ_MODELS_DIR") else None,
            label_map=parse_label_map(options.label_map),
        )
        wanted = Wanted(
            _topics(options, model),
            options.explain,
            wants_colour(sys.stdout, environ) if options.explain and sys.stdout.isatty() and not options.json else None,
        )
    except (BundleError, HfModelError, FileError, ValueError) as error:
        print(f"voz-enrich analyze: {error}", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        try:
            files = [
                sys.stdin.buffer if name == "-" else stack.enter_context(Path(name).open("rb"))
                for name in options.files
            ]
        except OSError as error:
            print(f"voz-enrich analyze: {error}", file=sys.stderr)
            return 2
        return 1 if sum(answer(model, file, sys.stdout, sys.stderr, wanted) for file in files) else 0


def answer(model: SignalModel, lines: BinaryIO, output: TextIO, errors: TextIO, wanted: Wanted = Wanted()) -> int:
    """Writes an answer for every good line of one file, in order, and an error for every bad one. How many were bad."""
    bad = 0

    def good() -> Iterator[Line]:
        nonlocal bad
        for number, raw in enumerate(lines, start=1):
            try:
                if raw.strip():
                    yield parse(raw)
            except ValueError as error:
                bad += 1
                print(f"{getattr(lines, 'name', 'input')}:{number}: {error}", file=errors)

    for chunk in _chunks(good()):
        signals = model.analyse([line.text for line in chunk], [line.language for line in chunk])
        for line, each in zip(chunk, signals, strict=True):
            output.write(_answered(model, line, each, wanted, errors) + "\n")
        output.flush()
    return bad


def parse(raw: bytes) -> Line:
    """One line of input. Raises ValueError with what is wrong with it."""
    try:
        row = json.loads(raw)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    if not isinstance(row, dict):
        raise ValueError("must be an object with id and text")
    identity, text, language = row.get("id"), row.get("text"), row.get("language")
    if isinstance(identity, bool) or not isinstance(identity, str | int):
        raise ValueError("id must be a string or a whole number")
    if not isinstance(text, str):
        raise ValueError("text must be a string")
    if not isinstance(language, str | None):
        raise ValueError("language must be a string")
    return Line(identity, text, language)


def render(line: Line, signals: TextSignals, model: str) -> dict[str, Any]:
    """One line of output."""
    return {
        "id": line.id,
        "language": signals.language,
        "sentiment": signals.sentiment,
        "sentiment_score": signals.sentiment_score,
        "emotion": signals.emotion,
        "intents": signals.intents,
        "topic": signals.topic,
        "effort": signals.effort,
        "stage": signals.stage,
        "scores": signals.scores,
        "model": model,
    }


def _answered(model: SignalModel, line: Line, signals: TextSignals, wanted: Wanted, errors: TextIO) -> str:
    row = render(line, signals, model.version)
    if wanted.topics is not None:
        matched = wanted.topics.match(signals.vector)
        row["own_topic"] = matched.id if matched else None
        row["own_topic_score"] = matched.score if matched else None
    if not wanted.explain:
        return json.dumps(row)
    words = explain(model, line.text, line.language, signals)
    if (count := word_count(line.text)) > MAX_WORDS:
        print(f"{printable(str(line.id))}: explained are the first {MAX_WORDS} of its {count:,} words", file=errors)
    if wanted.drawn is None:
        return json.dumps({**row, "explain": [asdict(word) for word in words]})
    own = f", own topic {row['own_topic'] or 'none'}" if wanted.topics is not None else ""
    return f"{printable(str(line.id))}{own}\n{drawn(line.text, signals, words, colour=wanted.drawn)}"


def _topics(options: argparse.Namespace, model: SignalModel) -> TopicSpace | None:
    """Of the tenant that is meant. Raises FileError, or ValueError for a tenant that isn't there."""
    if options.topics is None:
        return None
    own = read_topics(options.topics)
    tenant = str(options.tenant or (next(iter(own)) if len(own) == 1 else ""))
    if tenant not in own:
        raise ValueError(f"which tenant's topics of {options.topics}: --tenant {' or '.join(own)}")
    return TopicSpaces({tenant: own[tenant]}, model).of[tenant]


def _chunks(lines: Iterable[Line]) -> Iterator[list[Line]]:
    rest = iter(lines)
    while chunk := list(islice(rest, _LINES_AT_ONCE)):
        yield chunk


def _arguments(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voz-enrich analyze",
        description='The signals of JSON lines {"id", "text", "language"?, "channel"?}, as JSON lines in that order.',
        epilog="A bad line is named on standard error and the exit status is 1; the other lines are answered.",
    )
    parser.add_argument(
        "files", nargs="*", default=["-"], metavar="FILE", help="JSON lines; - or nothing: standard input"
    )
    parser.add_argument(
        "--model",
        default=environ.get("VOZ_ENRICH_MODEL") or DEFAULT_MODEL,
        help="bundle:<name or folder> or hf:<name or folder> (VOZ_ENRICH_MODEL; %(default)s)",
    )
    parser.add_argument(
        "--label-map",
        default=environ.get("VOZ_ENRICH_LABEL_MAP", ""),
        help="labels of an hf: model to sentiments, LABEL_0=negative,… or JSON (VOZ_ENRICH_LABEL_MAP)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        choices=range(1, 257),
        metavar="N",
        default=available_cores(),
        help="cores to use (%(default)s)",
    )
    parser.add_argument(
        "--topics", type=Path, metavar="FILE", help="companies' own topics, YAML: adds own_topic and own_topic_score"
    )
    parser.add_argument("--tenant", metavar="ID", help="whose topics, where the file has several tenants")
    parser.add_argument(
        "--explain",
        action="store_true",
        help="how much each word moved the sentiment score and the probability of the first intent, by leaving it out; "
        f"the first {MAX_WORDS} words of a text. On a terminal in colour (NO_COLOR: without); else as `explain`, a "
        "list of {word, start, end, sentiment, intent}",
    )
    parser.add_argument("--json", action="store_true", help="explain in JSON on a terminal too")
    return parser
