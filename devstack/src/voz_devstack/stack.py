"""The whole pipeline on this machine: set up, started, stopped, erased."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from voz_devstack import programs
from voz_devstack.jars import JarError, KafkaJars, exclusive, kafka_jars
from voz_devstack.kafka import KafkaCluster, KafkaError, KafkaNode
from voz_devstack.postgres import PostgresCluster, PostgresError
from voz_devstack.programs import ALL_SERVICES, KAFKA, POSTGRES, Service
from voz_devstack.setting_up import Report, StackError
from voz_devstack.stackfile import Process, StackInfo, read_info, write_info
from voz_devstack.state import TENANT, StateError, StateFolder
from voz_devstack.supervise import Program, Supervisor, SupervisorError

_READY_SECONDS = 120.0
# A service that has ended so often while starting won't come up by waiting.
_STARTS_GIVEN_UP = 3
_LOG_LINES = 15
_LOG_WIDTH = 500


class Stack:
    """The stack of one state folder. It goes on without this object until `down`."""

    def __init__(self, state: StateFolder, environment: Mapping[str, str], report: Report) -> None:
        self.state = state
        self.supervisor = Supervisor(state.supervisor)
        self._environment = environment
        self._report = report

    def running(self) -> StackInfo | None:
        """What runs here; None when nothing does, or when its start never came to an end."""
        return read_info(self.state.stack_file) if self.supervisor.is_running() else None

    @property
    def connection_secrets(self) -> Mapping[str, str]:
        """Of the development connections, by connection; none when the connections are somebody else's."""
        return self.state.connections(self._environment)[1]

    def up(self) -> StackInfo:
        """Start everything and return when everything is ready. What runs already is left alone.

        Raises StackError when something doesn't come up; whatever had been started is stopped again.
        """
        with exclusive(self.state.path):
            running = self.running()
            if running:
                return running
            self.supervisor.stop()
            self.state.stack_file.unlink(missing_ok=True)
            try:
                return _Start(self.state, self.supervisor, self._environment, self._report).run()
            except (KafkaError, PostgresError, SupervisorError, StateError, JarError, OSError) as error:
                self._undo()
                raise StackError(str(error)) from error
            except BaseException:
                self._undo()
                raise

    def down(self) -> bool:
        """Stop everything; the data stay. Returns whether anything was running."""
        with exclusive(self.state.path):
            was_running = self.supervisor.is_running()
            self.supervisor.stop()
            self.state.stack_file.unlink(missing_ok=True)
            return was_running

    def clean(self) -> None:
        """Stop everything and erase its data, keys and logs. What was downloaded stays, as does what isn't its own."""
        self.down()
        for path in self.state.erased_by_clean:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _undo(self) -> None:
        self._report("stopping what was started")
        self.supervisor.stop()


class _Start:
    """One start, step by step."""

    def __init__(
        self, state: StateFolder, supervisor: Supervisor, environment: Mapping[str, str], report: Report
    ) -> None:
        self._state = state
        self._supervisor = supervisor
        self._environment = environment
        self._began = time.monotonic()
        self._tell = report
        self._ports = state.ports(environment)
        self._keys_file, self._api_key = state.keys(environment)
        self._connections_file, _ = state.connections(environment)
        self._kafka = self._own_kafka()
        self._postgres = self._own_postgres()

    def run(self) -> StackInfo:
        infrastructure = self._infrastructure()
        shared = programs.shared_environment(
            kafka_bootstrap=self._bootstrap,
            postgres_dsn=self._dsn,
            keys_file=self._keys_file,
            connections_file=self._connections_file,
            policy_file=self._environment.get("VOZ_POLICY_FILE"),
        )
        services = [programs.service_program(service, self._ports, shared, self._state) for service in ALL_SERVICES]
        self._supervisor.launch([*infrastructure, *services])
        self._start_infrastructure([program.name for program in infrastructure])
        self._apply_topics(shared)
        self._supervisor.start(*(service.name for service in ALL_SERVICES))
        self._wait_until_ready()
        return write_info(self._state.stack_file, self._info)

    def _own_kafka(self) -> KafkaCluster | None:
        if self._environment.get("VOZ_KAFKA_BOOTSTRAP"):
            return None
        jars: KafkaJars = kafka_jars(report=self._say)
        node = KafkaNode(1, self._ports["kafka"], self._ports["kafka-controller"])
        return KafkaCluster(self._state.kafka, (node,), jars)

    def _own_postgres(self) -> PostgresCluster | None:
        if self._environment.get("VOZ_POSTGRES_DSN"):
            return None
        return PostgresCluster(self._state.postgres, self._ports["postgres"])

    @property
    def _bootstrap(self) -> str:
        return self._kafka.bootstrap if self._kafka else self._environment["VOZ_KAFKA_BOOTSTRAP"]

    @property
    def _dsn(self) -> str:
        return self._postgres.dsn() if self._postgres else self._environment["VOZ_POSTGRES_DSN"]

    def _infrastructure(self) -> list[Program]:
        """The servers of our own, prepared side by side: each takes a second or two the first time."""
        owned = [cluster for cluster in (self._kafka, self._postgres) if cluster]
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(cluster.prepare) for cluster in owned]:
                done.result()
        found = []
        if self._kafka:
            found.append(programs.kafka_program(self._kafka, self._kafka.nodes[0], self._state))
        else:
            self._say(f"Kafka: the one at {self._bootstrap}")
        if self._postgres:
            found.append(programs.postgres_program(self._postgres, self._state))
        else:
            self._say("PostgreSQL: the one that VOZ_POSTGRES_DSN names")
        return found

    def _start_infrastructure(self, names: Sequence[str]) -> None:
        self._supervisor.start(*names)
        if self._postgres:
            self._postgres.wait_until_serving(check=lambda: self._check(POSTGRES))
            self._say(f"PostgreSQL serves on 127.0.0.1:{self._postgres.port}")
        if self._kafka:
            self._kafka.wait_until_serving(check=lambda: self._check(KAFKA))
            self._say(f"Kafka serves on {self._bootstrap}")

    def _apply_topics(self, shared: Mapping[str, str]) -> None:
        """Topics as proto/topics describes them. Database schemas are the services' own affair, when they start."""
        done = subprocess.run(
            programs.command_line(programs.TOPICS),
            env={**self._environment, **shared},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"{' '.join(programs.TOPICS)} failed:\n{_last_lines(done.stdout)}")
        self._say("topics are as they should be")

    def _wait_until_ready(self) -> None:
        waiting = list(ALL_SERVICES)
        deadline = time.monotonic() + _READY_SECONDS
        with httpx.Client(timeout=5, trust_env=False) as client:
            while waiting:
                for service in [each for each in waiting if self._is_ready(client, each)]:
                    waiting.remove(service)
                    self._say(f"{service.name} is ready on {programs.url(self._ports, service.port)}")
                for service in waiting:
                    self._check(service.name, late=time.monotonic() > deadline)
                time.sleep(0.1)

    def _is_ready(self, client: httpx.Client, service: Service) -> bool:
        try:
            return client.get(f"{programs.url(self._ports, service.port)}/readyz").is_success
        except httpx.HTTPError:
            return False

    def _check(self, name: str, *, late: bool = False) -> None:
        """Raise StackError when the program has ended too often to go on waiting, or is late."""
        status = next(status for status in self._supervisor.status() if status.name == name)
        ended = status.state == "FATAL" or status.starts >= _STARTS_GIVEN_UP
        if ended or late:
            what = "ends again and again" if ended else f"is not ready after {_READY_SECONDS:g} s"
            log = self._state.logs / f"{name}.log"
            said = _last_lines(log.read_text(encoding="utf-8", errors="replace") if log.exists() else "")
            raise StackError(f"{name} {what}. The end of {log}:\n{said}")

    def _info(self) -> StackInfo:
        pids = {status.name: status.pid for status in self._supervisor.status()}
        metrics = {service.name: f"{programs.url(self._ports, service.port)}/metrics" for service in ALL_SERVICES}
        return StackInfo(
            tenant=TENANT,
            api_key=self._api_key,
            kafka_bootstrap=self._bootstrap,
            topic_prefix=self._environment.get("VOZ_TOPIC_PREFIX", ""),
            postgres_dsn=self._dsn,
            ingest_url=programs.url(self._ports, "ingest"),
            router_url=programs.url(self._ports, "router"),
            metrics_api_url=programs.url(self._ports, "metrics-api"),
            processes=[Process(name, pid, metrics.get(name)) for name, pid in pids.items() if pid],
        )

    def _say(self, words: str) -> None:
        self._tell(f"{time.monotonic() - self._began:5.1f} s  {words}")


def _last_lines(text: str) -> str:
    lines = [line if len(line) <= _LOG_WIDTH else f"{line[:_LOG_WIDTH]}…" for line in text.splitlines()[-_LOG_LINES:]]
    return "\n".join(f"  {line}" for line in lines) or "  (nothing)"
