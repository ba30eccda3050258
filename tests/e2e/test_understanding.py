"""What enrich understands, through the whole pipeline: said to ingest, read where it reaches a company.

Own topics and a second model in the shadow run in a stack of this module's own, at the most talkative log level; a
Hugging Face model in another. Both are compared with the first stack, which is as it ships.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.chaos.enrich_harness import Installation
from tests.contract.hf_checkpoints import TEXTS, save_checkpoint
from tests.contract.odd_texts import MARKER, ODD_TEXTS
from tests.e2e.conftest import Checkout, eventually, on_servers_of, started
from tests.integration.enrich.test_hostile_texts import broken, unmarked
from tests.integration.enrich.test_own_topics import BAG, FILE, THANKS, replace
from tests.integration.enrich.test_worker import send

from voz.v1 import labels_pb2 as labels
from voz.v1.dead_letter_pb2 import DeadLetter
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_contracts import topics
from voz_contracts.words import word
from voz_devstack.stackfile import Process
from voz_enrich.adapters.outbound.bundle import FILES, find_bundle, write_manifest
from voz_enrich.adapters.outbound.models import DEFAULT_BUNDLE

pytestmark = pytest.mark.e2e
Said = str | Mapping[str, object]
CONTRARY = {"negative": "positive", "neutral": "neutral", "positive": "negative"}
RULE = """rules:
  - id: luggage
    when: {own_topic: [lost-luggage, baggage]}
    act: true
    queue: delivery
    reason: Something about luggage
"""


@pytest.fixture(scope="module")
def running(stack: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A pipeline with own topics, a rule for them, and a shadow: the shipped model with its sentiments turned round."""
    folder = tmp_path_factory.mktemp("understanding")
    (folder / "topics.yaml").write_text(FILE, encoding="utf-8")
    policy = files("voz_router").joinpath("default_policy.yaml").read_text(encoding="utf-8")
    (folder / "policy.yaml").write_text(policy.replace("rules:\n", RULE), encoding="utf-8")
    variables = {
        "VOZ_LOG_LEVEL": "DEBUG",
        "VOZ_POLICY_FILE": str(folder / "policy.yaml"),
        "VOZ_ENRICH_TOPICS": str(folder / "topics.yaml"),
        "VOZ_ENRICH_SHADOW_MODEL": f"bundle:{save_contrary(folder / 'contrary')}",
        "VOZ_ENRICH_SHADOW_SHARE": "1",
    }
    with on_servers_of(stack, folder / "voz", **variables) as here, started(here):
        yield here


def test_a_company_s_own_topic_decides_is_shown_and_changes_without_a_restart(running: Checkout) -> None:
    worker = process(running, "enrich").pid
    say(running, "luggage", BAG, THANKS)
    replace(Path(running.environment["VOZ_ENRICH_TOPICS"]), FILE.replace("lost-luggage", "baggage"))
    taken = 'voz_file_reloads_total{file="topics.yaml",outcome="taken"}'
    eventually(lambda: counts(running)[taken] == 1, "enrich has taken the new file")
    say(running, "baggage", BAG)

    assert process(running, "enrich").pid == worker
    answers = [*enriched(running, "luggage"), *enriched(running, "baggage")]
    given = {each.event.customer.id: each.signals.own_topic for each in answers}
    assert given == {"luggage-0": "lost-luggage", "luggage-1": "", "baggage-0": "baggage"}
    for customer, topic in given.items():
        (shown,) = ask(running, "metrics_api", f"/v1/customers/{customer}/timeline")["items"]
        assert shown["details"].get("own_topic", "") == topic
        if topic:
            case = case_of(running, customer, "delivery")
            assert (case["rule"], case["signals"]["own_topic"]) == ("luggage", topic)
            assert case["messages"][0]["signals"]["own_topic"] == topic
            assert counts(running)[f'voz_enrich_own_topics_total{{own_topic="{topic}",tenant="demo"}}'] == 1


def test_a_shadow_shows_in_metrics_and_nowhere_else(stack: Checkout, running: Checkout) -> None:
    before, now = counts(running), datetime.now(UTC).isoformat()
    for each in (running, stack):
        say(each, "shadowed", *({"text": text, "occurred_at": now} for text in TEXTS))
    answers = enriched(running, "shadowed")
    assert undated(answers) == undated(enriched(stack, "shadowed"))
    assert {each.signals.model for each in answers} == {DEFAULT_BUNDLE}

    live = [word(labels.Sentiment, each.signals.sentiment) for each in answers]
    assert {"negative", "positive"} <= set(live)
    pair = 'voz_enrich_shadow_pairs_total{{head="sentiment",live="{}",shadow="{}"}}'
    expected = Counter(pair.format(each, CONTRARY[each]) for each in live)
    # At least: the shadow may still be at what another test said.
    eventually(lambda: expected <= counts(running) - before, "each is compared")
    pairs = {name for name in counts(running) if name.startswith('voz_enrich_shadow_pairs_total{head="sentiment"')}
    assert pairs <= {pair.format(*each) for each in CONTRARY.items()}
    for model in ("live", "shadow"):
        added = counts(running) - before
        assert added[f'voz_enrich_shadow_text_seconds_count{{model="{model}"}}'] >= len(TEXTS)
    report = subprocess.run(
        [Path(sys.executable).with_name("voz-enrich"), "shadow", "report", "--json"],
        env=running.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert report.returncode == 0, report.stderr
    found = json.loads(report.stdout)
    assert (found["live"], found["shadow"], found["share"]) == (DEFAULT_BUNDLE, "contrary-1", "1")
    assert (found["dropped"], found["errors"]) == (0, 0)
    assert found["texts"] >= len(TEXTS)
    assert found["heads"]["topic"]["agreement"] == 1
    assert found["heads"]["sentiment"]["agreement"] < 1
    assert min(found["latency"][model]["mean_ms"] for model in ("live", "shadow")) > 0


def test_every_answer_names_its_model_and_labels_are_counted_by_it(running: Checkout) -> None:
    before = counts(running)
    asked: list[Said] = [*TEXTS, {"survey": {"metric": "nps", "score": 2, "comment": TEXTS[0]}}]
    wordless: list[Said] = [{"survey": {"metric": "nps", "score": 2}}, {"behaviour": {"type": "rage_click"}}]
    say(running, "versions", *asked, *wordless)
    answers = enriched(running, "versions")
    read = [each for each in answers if each.event.text or each.event.survey.comment]
    assert [each.signals.model for each in read] == [DEFAULT_BUNDLE] * len(asked)
    # No model is asked where there is nothing to read.
    assert [each.signals.model for each in answers if each not in read] == [""] * len(wordless)

    added = counts(running) - before
    by_model = {name: n for name, n in added.items() if name.startswith("voz_enrich_labels_total")}
    assert all(f'model="{DEFAULT_BUNDLE}"' in name for name in by_model)
    for head in ("sentiment", "emotion", "topic", "effort", "stage"):
        assert sum(n for name, n in by_model.items() if f'head="{head}"' in name) == len(asked)
        assert added[f'voz_enrich_confidence_count{{head="{head}",model="{DEFAULT_BUNDLE}"}}'] == len(asked)
    for topic, n in Counter(word(labels.Topic, each.signals.topic) for each in read).items():
        assert by_model[f'voz_enrich_labels_total{{head="topic",label="{topic}",model="{DEFAULT_BUNDLE}"}}'] == n


def test_every_odd_text_is_refused_with_a_reason_or_arrives_everywhere_and_no_log_has_it(
    stack: Checkout, running: Checkout
) -> None:
    accepted: dict[str, set[str]] = {"odd": set(), MARKER: set()}
    refused = []
    for (name, text), who in product(ODD_TEXTS.items(), accepted):
        written = {"channel": "chat", "source": "odd", "customer": {"id": who, "handle": f"@{who}", "name": who}}
        if who == MARKER:  # with it even the empty ones are texts, here in bytes that may be no UTF-8
            plain = json.dumps({**written, "text": f"{MARKER} {text}"}, ensure_ascii=False)
            answer = post(running, plain.encode("utf-8", "surrogatepass"))
        else:
            answer = post(running, json.dumps({**written, "text": text}).encode())
        if answer.status_code == httpx.codes.ACCEPTED:
            accepted[who].update(answer.json()["ids"])
        else:
            refused.append((who, name))
            assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
            (error,) = answer.json()["errors"]
            assert "is required" in error["detail"] or "not JSON" in error["detail"]
    assert sum(map(len, accepted.values())) + len(refused) == 2 * len(ODD_TEXTS)
    nothing = {"empty", "blank", "4,000 lines", "NUL", "control characters", "lone surrogate"}
    assert {*refused} == {*(("odd", name) for name in nothing), (MARKER, "lone surrogate")}

    # No text that ingest takes is put aside today; records that it would never write are.
    bad = broken(900)
    asyncio.run(send(installation(running), *bad))
    ids = {each for some in accepted.values() for each in some}
    eventually(lambda: len(enriched(running, "odd")) + len(letters(running)) >= len(ids) + len(bad), "all have an end")
    answers = enriched(running, "odd")
    assert (len(answers), len(letters(running))) == (len(ids), len(bad))
    assert {each.event.id for each in answers} == ids
    assert {each.signals.model for each in answers} == {DEFAULT_BUNDLE}
    eventually(lambda: volume(running, "odd") == len(ids), "all are counted")
    for who, theirs in accepted.items():
        eventually(lambda who=who, theirs=theirs: decided(running, who).keys() == theirs, "all are decided")  # type: ignore[misc]
        shown = ask(running, "metrics_api", f"/v1/customers/{who}/timeline", limit=200)["items"]
        assert {each["event_id"] for each in shown} == theirs
        opened = {decision["case_id"] for decision in decided(running, who).values()} - {None}
        assert opened
        for case in opened:
            assert ask(running, "router", f"/v1/cases/{case}")["customer"]["id"] == who
    assert len(letters(running)) == len(bad), "nobody after enrich puts anything aside"

    logs = {
        file: file.read_text(errors="replace") for each in (stack, running) for file in each.folder.glob("*/*.log*")
    }
    assert {each.name for each in running.info().processes} <= {file.stem for file, said in logs.items() if said}
    for said in logs.values():
        unmarked(said)


def test_a_hugging_face_model_decides_in_the_shipped_one_s_place(stack: Checkout, tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "stars", ["LABEL_0", "LABEL_1"], architecture="xlm-roberta", says=1)
    (tmp_path / "topics.yaml").write_text(FILE, encoding="utf-8")
    variables = {
        "VOZ_ENRICH_MODEL": f"hf:{folder}",
        "VOZ_ENRICH_LABEL_MAP": "LABEL_0=positive,LABEL_1=negative",
        "VOZ_ENRICH_TOPICS": str(tmp_path / "topics.yaml"),
    }
    with on_servers_of(stack, tmp_path / "voz", **variables) as here, started(here):
        for each in (here, stack):
            say(each, "swapped", *TEXTS, BAG)
        (version,) = {each.signals.model for each in enriched(here, "swapped")}
        assert version.startswith("hf:stars@")
        assert version.endswith(f"+{DEFAULT_BUNDLE}")
        assert {each.signals.model for each in enriched(stack, "swapped")} == {DEFAULT_BUNDLE}
        assert {each.event.text for each in enriched(here, "swapped") if each.signals.own_topic} == {BAG}
        name = f'voz_enrich_labels_total{{head="sentiment",label="negative",model="{version}"}}'
        assert counts(here)[name] == len(TEXTS) + 1

        # This one says "negative" to everything: the KPIs say so, and whoever is happy has a case.
        assert feelings(here, "swapped") == {"negative": len(TEXTS) + 1}
        assert feelings(stack, "swapped")["positive"] >= 1
        thanks = f"swapped-{next(n for n, text in enumerate(TEXTS) if 'thank you' in text)}"
        for each, ruled in ((here, ("unhappy", True)), (stack, ("mere-praise", False))):
            eventually(lambda each=each: len(decided(each, thanks)) == 1, "it is decided")  # type: ignore[misc]
            (decision,) = decided(each, thanks).values()
            assert (decision["rule"], decision["act"]) == ruled
        assert case_of(here, thanks, "care")["signals"]["sentiment"] == "negative"


def save_contrary(folder: Path) -> Path:
    """The shipped bundle with `positive` and `negative` exchanged, under a version of its own."""
    shipped = find_bundle(DEFAULT_BUNDLE)
    folder.mkdir()
    for name in FILES:
        (folder / name).symlink_to(shipped / name)
    described = json.loads((shipped / "labels.json").read_text(encoding="utf-8"))
    described["heads"]["sentiment"]["labels"].reverse()
    (folder / "labels.json").unlink()
    (folder / "labels.json").write_text(json.dumps(described), encoding="utf-8")
    write_manifest(folder, "contrary-1")
    return folder


def process(running: Checkout, name: str) -> Process:
    """A process of the stack, as `stack.json` says it."""
    return next(each for each in running.info().processes if each.name == name)


def post(running: Checkout, body: bytes) -> httpx.Response:
    """What ingest answers to a JSON body."""
    info = running.info()
    headers = {"Authorization": f"Bearer {info.api_key}", "Content-Type": "application/json"}
    return httpx.post(f"{info.ingest_url}/v1/events", content=body, headers=headers, trust_env=False, timeout=30)


def say(running: Checkout, source: str, *said: Said) -> None:
    """Texts or other events of one customer each, `<source>-0` and so on; returns when metrics-api has counted them."""
    events = [
        {"id": f"{n}", "source": source, "channel": "chat", "customer": {"id": f"{source}-{n}"}}
        | ({"text": each} if isinstance(each, str) else dict(each))
        for n, each in enumerate(said)
    ]
    answer = post(running, json.dumps(events).encode())
    assert (answer.status_code, answer.json()["rejected"]) == (202, []), answer.text
    eventually(lambda: volume(running, source) == len(said), f"{source}: all are counted")


def ask(running: Checkout, service: str, path: str, **params: Any) -> Any:
    """What the `router` or `metrics_api` answers."""
    info = running.info()
    url = {"router": info.router_url, "metrics_api": info.metrics_api_url}[service]
    headers = {"Authorization": f"Bearer {info.api_key}"}
    answer = httpx.get(f"{url}{path}", params=params, headers=headers, trust_env=False, timeout=30)
    return answer.raise_for_status().json()


def volume(running: Checkout, source: str) -> int:
    """Events of a source that metrics-api has counted."""
    return sum(feelings(running, source).values())


def feelings(running: Checkout, source: str) -> dict[str | None, int]:
    """Events of a source that metrics-api has counted, by sentiment."""
    found = ask(running, "metrics_api", "/v1/kpis", kpi="volume", window="1h", by="sentiment", source=source)
    return {each["dimensions"]["sentiment"]: int(each["kpis"]["volume"]["value"]) for each in found["groups"]}


def decided(running: Checkout, customer: str) -> dict[str, Any]:
    """The router's decisions about a customer, by event."""
    found = ask(running, "router", "/v1/decisions", customer=customer, limit=200)["items"]
    return {each["event_id"]: each for each in found}


def case_of(running: Checkout, customer: str, queue: str) -> Any:
    """A customer's case with its messages, once it is in the queue."""

    def found() -> list[str]:
        waiting = ask(running, "router", f"/v1/queues/{queue}/cases", limit=200)["items"]
        return [each["id"] for each in waiting if each["customer"]["id"] == customer]

    eventually(lambda: len(found()) == 1, f"{customer} has a case in {queue}")
    return ask(running, "router", f"/v1/cases/{found()[0]}")


def counts(running: Checkout) -> Counter[str]:
    """enrich's metrics by name and labels, as exposed, in whole numbers."""
    exposed = httpx.get(str(process(running, "enrich").metrics_url), trust_env=False, timeout=30).text
    lines = (line.rpartition(" ") for line in exposed.splitlines() if not line.startswith("#"))
    return Counter({name: int(float(value)) for name, _, value in lines})


def installation(running: Checkout) -> Installation:
    """Its topics."""
    return Installation(running.info().kafka_bootstrap, running.info().topic_prefix)


def enriched(running: Checkout, source: str) -> list[EnrichedEvent]:
    """What enrich has answered to the events of a source."""
    records = asyncio.run(installation(running).read(topics.ENRICHED))
    return [each for record in records if (each := EnrichedEvent.FromString(record.value)).event.source == source]


def letters(running: Checkout) -> list[DeadLetter]:
    """What any service has put aside."""
    return [DeadLetter.FromString(each.value) for each in asyncio.run(installation(running).read(topics.DEAD_LETTER))]


def undated(answers: Sequence[EnrichedEvent]) -> list[EnrichedEvent]:
    """The answers without when and where they were given."""
    copies = [EnrichedEvent.FromString(each.SerializeToString()) for each in answers]
    for each in copies:
        each.ClearField("enriched_at")
        each.ClearField("answers")
        each.event.ClearField("received_at")
    return copies
