"""Write the generated part of libs/contracts from proto/: `python libs/contracts/generate.py [--check]`.

Protobuf messages become src/voz/v1/*_pb2.py with type stubs; proto/topics/*.yaml becomes src/voz_contracts/topics.py.
With --check nothing is written: exit 1 names what is stale.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import grpc_tools
import yaml

HERE = Path(__file__).resolve().parent
PROTO = HERE.parent.parent / "proto"
SOURCES = HERE / "src"
TOPIC_CLASS = '''"""The topics of Voz. Generated from proto/topics/*.yaml by `make proto`: change those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic, or (with `<queue>` in its name) one family of topics.

    `config` holds Kafka's topic settings: retention, compaction and what else the YAML file says.
    """

    name: str
    value: str
    partitions: int
    config: Mapping[str, str]


'''


def messages(target: Path) -> None:
    """Run protoc over every .proto file."""
    files = sorted(str(path.relative_to(PROTO)) for path in (PROTO / "voz").rglob("*.proto"))
    include = Path(grpc_tools.__file__).parent / "_proto"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"-I{include}"]
    subprocess.run([*command, f"--python_out={target}", f"--pyi_out={target}", *files], check=True)
    for package in ("voz/v1/__init__.py", "voz/__init__.py"):
        (target / package).write_text("")
    (target / "voz" / "py.typed").write_text("")


def topics(target: Path) -> None:
    """Write one TopicSpec a YAML file, named for the topic."""
    text = TOPIC_CLASS
    names = []
    for path in sorted((PROTO / "topics").glob("*.yaml")):
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))
        constant = spec["topic"].removeprefix("voz.").split(".<")[0].upper().replace("-", "_").replace(".", "_")
        names.append(constant)
        config = "".join(f'        "{key}": "{value}",\n' for key, value in sorted(kafka_config(spec).items()))
        text += (
            f"{constant} = TopicSpec(\n    name={json.dumps(spec['topic'])},\n    value={json.dumps(spec['value'])},\n"
            + f"    partitions={spec['partitions']},\n    config={{\n{config}    }},\n)\n"
        )
    text += f"\nTOPICS: tuple[TopicSpec, ...] = ({', '.join(names)})\n"
    (target / "voz_contracts").mkdir(exist_ok=True)
    (target / "voz_contracts" / "topics.py").write_text(text, encoding="utf-8")


def kafka_config(spec: dict[str, Any]) -> dict[str, str]:
    """Kafka's topic settings of one YAML file."""
    config = {"cleanup.policy": spec["cleanup"]}
    if spec["retention_days"] is not None:
        config["retention.ms"] = str(spec["retention_days"] * 86_400_000)
    return config | {key: str(value) for key, value in spec.get("config", {}).items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 when a generated file is stale")
    check = parser.parse_args().check
    if not check:
        messages(SOURCES)
        topics(SOURCES)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        messages(fresh)
        topics(fresh)
        wanted = sorted(path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file())
        present = {path.relative_to(SOURCES) for path in (SOURCES / "voz").rglob("*.py*") if path.suffix != ".pyc"}
        stale = [p for p in wanted if not (SOURCES / p).is_file() or not filecmp.cmp(fresh / p, SOURCES / p, False)]
        stale += sorted(present - set(wanted))
    for path in stale:
        print(f"stale: {SOURCES / path} (run `make proto`)", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
