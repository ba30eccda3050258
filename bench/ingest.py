"""What an event costs on its way from HTTP to Kafka: Voz beside Apache Camel and the plain stack, measure by measure in
turns. All three answer when every in-sync replica has the record; Camel only parses, the plain stack checks six fields,
Voz authenticates, validates, normalises, names and encodes.

CPU is that of the server process, user and system, divided by the events answered: on a machine that others use, too,
it is what holds still. Load, server and broker share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil
import yaml
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from camel import TOPIC as CAMEL_TOPIC
from camel import camel, class_path
from common import BIN, ROOT, events, process, ratio, report, say, wait_for
from load import Load, acknowledgements, closed_loop, open_loop, requests_of

from voz_contracts.topics import TOPICS
from voz_devstack.ports import allocate_ports
from voz_devstack.testing import kafka_server
from voz_streamkit.http.auth import EVENTS_WRITE, hash_key, new_key

ARRAY, LINES = 100, 500
CONNECTIONS, ARRAY_CONNECTIONS, STREAM_CONNECTIONS = 64, 16, 4
JSON = {"Content-Type": "application/json"}
# The broker's data stay small however long the run.
BROKER = {
    "log_segment_bytes": "67108864",
    "log_retention_bytes": "134217728",
    "log_retention_check_interval_ms": "5000",
}


@dataclass(frozen=True)
class Measured:
    """One measurement: events a second, CPU of the server for each, latency of a request."""

    rate: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Server:
    """A server under load. `requests`: what is sent, by kind."""

    process: psutil.Process
    url: str
    requests: Mapping[str, Sequence[bytes]]


Measure = Callable[[], Measured]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument(
        "--warm", type=float, default=25.0, help="seconds for Camel's just-in-time compiler, each route"
    )
    parser.add_argument("--without-camel", action="store_true")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="voz-bench-")))
        kafka = stack.enter_context(kafka_server(folder / "kafka", 1, **BROKER))
        asyncio.run(make_topics(kafka.bootstrap))
        bodies = events(3000, run="single")
        voz = stack.enter_context(start_voz(folder, kafka.bootstrap, bodies))
        plain = stack.enter_context(start_plain(folder, kafka.bootstrap, bodies))
        peer = None if chosen.without_camel else start_camel(stack, folder, kafka.bootstrap, bodies)
        warm(voz, plain, peer, chosen.warm)
        measures = every_measure(voz, plain, peer, kafka.bootstrap, bodies, chosen.seconds)
        found: dict[str, list[Measured]] = {name: [] for name in measures}
        for number in range(chosen.rounds):
            say(f"round {number + 1} of {chosen.rounds}")
            for name, measure in measures.items():
                found[name].append(measure())
        tell(found, rss(voz), rss(peer) if peer else None)


def every_measure(
    voz: Server, plain: Server, peer: Server | None, bootstrap: str, bodies: list[bytes], seconds: float
) -> dict[str, Measure]:
    """All measurements of a round, in their order."""

    def closed(server: Server, kind: str, size: int = 1, connections: int = CONNECTIONS) -> Measure:
        return lambda: measured(
            server,
            lambda: closed_loop(server.url, server.requests[kind], connections=connections, seconds=seconds),
            size,
        )

    single = closed(voz, "single")
    rates: list[float] = []

    def voz_single() -> Measured:
        found = single()
        rates.append(found.rate)
        return found

    def half() -> float:
        return median(rates) / 2

    measures: dict[str, Measure] = {"voz single": voz_single}
    if peer:
        measures["camel single"] = closed(peer, "single")
    measures |= {
        "plain single": closed(plain, "single"),
        "voz webhook": closed(voz, "webhook"),
        "voz array": closed(voz, "array", ARRAY, ARRAY_CONNECTIONS),
    }
    if peer:
        measures["camel array"] = closed(peer, "array", ARRAY, ARRAY_CONNECTIONS)
    return measures | {
        "voz lines": closed(voz, "lines", LINES, STREAM_CONNECTIONS),
        "voz half": lambda: measured(
            voz, lambda: open_loop(voz.url, voz.requests["single"], rate=half(), seconds=seconds)
        ),
        "kafka half": lambda: of(
            checked(acknowledgements(bootstrap, "own.events", bodies, rate=half(), seconds=seconds))
        ),
    }


def measured(server: Server, run: Callable[[], Load], size: int = 1) -> Measured:
    """A load's figures; `size`: events in a request. Raises RuntimeError when a request failed."""
    before = server.process.cpu_times()
    load = checked(run())
    after = server.process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return of(load, size, used)


def of(load: Load, size: int = 1, used_seconds: float = 0.0) -> Measured:
    cpu_us = used_seconds / (load.answered * size) * 1e6
    return Measured(load.rate * size, cpu_us, load.p50_ms, load.p99_ms)


def checked(load: Load) -> Load:
    """A load without a failed request; a fast refusal is no throughput."""
    if load.failed:
        raise RuntimeError(f"{load.failed} of {load.answered} requests failed")
    return load


def warm(voz: Server, plain: Server, peer: Server | None, seconds: float) -> None:
    """Until what compiles while it runs has done so."""
    say(f"warming up, {seconds:g} s for each of Camel's routes" if peer else "warming up")
    for server in (voz, plain):
        for kind in server.requests:
            closed_loop(server.url, server.requests[kind], connections=8, seconds=1.0)
    for kind in peer.requests if peer else ():
        assert peer is not None
        closed_loop(peer.url, peer.requests[kind], connections=CONNECTIONS, seconds=seconds)


@contextmanager
def start_voz(folder: Path, bootstrap: str, bodies: list[bytes]) -> Iterator[Server]:
    key, secret = new_key(), os.urandom(24)
    keys, connections = folder / "keys.yaml", folder / "connections.yaml"
    keys.write_text(f"keys: [{{id: bench, tenant: bench, sha256: {hash_key(key)}, scopes: ['{EVENTS_WRITE}']}}]\n")
    hook = {"id": "hook", "tenant": "bench", "source": "standard_webhooks"}
    signed = {**hook, "secrets": [f"whsec_{base64.b64encode(secret).decode()}"]}
    connections.write_text(yaml.safe_dump({"connections": [signed]}))
    port = allocate_ports(["voz"])["voz"]
    settings = {
        "VOZ_KAFKA_BOOTSTRAP": bootstrap,
        "VOZ_INGEST_PORT": str(port),
        "VOZ_KEYS_FILE": str(keys),
        "VOZ_CONNECTIONS_FILE": str(connections),
        "VOZ_INGEST_RATE_EVENTS_PER_SECOND": "1000000",
        "VOZ_INGEST_RATE_BURST_EVENTS": "1000000",
        "VOZ_LOG_LEVEL": "WARNING",
    }
    events_url, hook_url = f"http://127.0.0.1:{port}/v1/events", f"http://127.0.0.1:{port}/v1/webhooks/hook"
    known = JSON | {"Authorization": f"Bearer {key}"}
    lines = [b"\n".join(events(LINES, run=f"lines-{number}")) for number in range(20)]
    requests = {
        "single": requests_of(events_url, bodies, known),
        "array": requests_of(events_url, arrays(bodies), known),
        "lines": requests_of(events_url, lines, known | {"Content-Type": "application/x-ndjson"}),
        "webhook": requests_of(hook_url, bodies, JSON, [signature(secret, body) for body in bodies]),
    }
    with process(str(BIN / "voz-ingest"), "serve", log=folder / "voz.log", env=settings) as server:
        wait_for(f"http://127.0.0.1:{port}/readyz")
        yield Server(server, events_url, requests)


def signature(secret: bytes, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks."""
    name, now = hashlib.sha256(body).hexdigest()[:24], int(time.time())
    made = hmac.new(secret, f"{name}.{now}.".encode() + body, "sha256").digest()
    return {
        "webhook-id": name,
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{base64.b64encode(made).decode()}",
    }


@contextmanager
def start_plain(folder: Path, bootstrap: str, bodies: list[bytes]) -> Iterator[Server]:
    port = allocate_ports(["plain"])["plain"]
    command = ["-m", "uvicorn", "ingest:create_app", "--factory", "--app-dir", str(ROOT / "bench" / "plain")]
    command += ["--port", str(port), "--log-level", "warning", "--no-access-log"]
    url, log = f"http://127.0.0.1:{port}/v1/events", folder / "plain.log"
    with process(sys.executable, *command, log=log, env={"VOZ_KAFKA_BOOTSTRAP": bootstrap}) as server:
        wait_for(f"http://127.0.0.1:{port}/openapi.json")
        yield Server(server, url, {"single": requests_of(url, bodies, JSON)})


def start_camel(stack: ExitStack, folder: Path, bootstrap: str, bodies: list[bytes]) -> Server | None:
    """Camel, where its jars can be had."""
    try:
        jars = class_path()
    except Exception as error:
        say(f"without Apache Camel: its jars can't be fetched ({error})")
        return None
    port = allocate_ports(["camel"])["camel"]
    server = stack.enter_context(camel(folder / "camel", jars, bootstrap, port))
    url = f"http://127.0.0.1:{port}"
    requests = {
        "single": requests_of(f"{url}/v1/events", bodies, JSON),
        "array": requests_of(f"{url}/v1/arrays", arrays(bodies), JSON),
    }
    return Server(server, url, requests)


def arrays(bodies: list[bytes]) -> list[bytes]:
    """The same events in arrays."""
    return [b"[" + b",".join(bodies[at : at + ARRAY]) + b"]" for at in range(0, len(bodies), ARRAY)]


def rss(server: Server) -> int:
    """Resident memory, MiB."""
    return round(server.process.memory_info().rss / 2**20)


def tell(found: dict[str, list[Measured]], voz_rss: int, camel_rss: int | None) -> None:
    def cpu(name: str) -> list[float]:
        return [each.cpu_us for each in found[name]]

    def rate(name: str) -> list[float]:
        return [each.rate for each in found[name]]

    def p99(name: str) -> list[float]:
        return [each.p99_ms for each in found[name]]

    names = {
        "voz single": "Voz, one event a request",
        "camel single": "Camel, one event a request",
        "plain single": "plain stack, one event a request",
        "voz webhook": "Voz, one event a signed webhook",
        "voz array": f"Voz, arrays of {ARRAY}",
        "camel array": f"Camel, arrays of {ARRAY}",
        "voz lines": f"Voz, NDJSON of {LINES}",
        "voz half": "Voz, one event a request, half of its rate",
        "kafka half": "Kafka's acknowledgement at that rate",
    }
    rows = [(f"{names[name]}: {what}", value) for name in found for what, value in _figures(found[name])]
    rows += [("Voz: memory, MiB", str(voz_rss))] + ([("Camel: memory, MiB", str(camel_rss))] if camel_rss else [])
    ratios = {
        "webhook_cpu_vs_event": ratio(cpu("voz webhook"), cpu("voz single")),
        "webhook_rate_vs_event": ratio(rate("voz webhook"), rate("voz single")),
        "half_load_p99_vs_acknowledgement": ratio(p99("voz half"), p99("kafka half")),
        "single_cpu_vs_plain": ratio(cpu("voz single"), cpu("plain single")),
        "single_rate_vs_plain": ratio(rate("voz single"), rate("plain single")),
    }
    if "camel single" in found:
        ratios = {
            "single_cpu_vs_camel": ratio(cpu("voz single"), cpu("camel single")),
            "single_rate_vs_camel": ratio(rate("voz single"), rate("camel single")),
            "array_cpu_vs_camel": ratio(cpu("voz array"), cpu("camel array")),
        } | ratios
    figures = {
        f"{name.replace(' ', '_')}_{what}": value
        for name, measured_ in found.items()
        for what, value in (
            ("per_second", round(median(each.rate for each in measured_))),
            ("cpu_us", round(median(each.cpu_us for each in measured_), 1)),
            ("p99_ms", round(median(each.p99_ms for each in measured_), 1)),
        )
        if value
    }
    figures["voz_rss_mib"] = voz_rss
    if camel_rss:
        figures["camel_rss_mib"] = camel_rss
    report("ingest", rows, ratios, figures)


def _figures(found: list[Measured]) -> Iterator[tuple[str, str]]:
    rates, cpus = [each.rate for each in found], [each.cpu_us for each in found]
    yield "events/s", f"{median(rates):,.0f} [{min(rates):,.0f}-{max(rates):,.0f}]"
    if any(cpus):
        yield "server CPU, µs an event", f"{median(cpus):.1f} [{min(cpus):.1f}-{max(cpus):.1f}]"
    latency = f"{median(each.p50_ms for each in found):.1f} / {median(each.p99_ms for each in found):.1f}"
    yield "p50 / p99 of a request, ms", latency


async def make_topics(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    own = [topic.name for topic in TOPICS if "<" not in topic.name]
    await admin.create_topics([NewTopic(name, 8, 1) for name in (*own, "plain.events", CAMEL_TOPIC, "own.events")])
    await admin.close()


if __name__ == "__main__":
    main()
