"""The cores that a worker may use: its affinity and its cgroup's CPU time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from voz_enrich import cores
from voz_enrich.config import EnrichSettings
from voz_enrich.cores import available_cores, cgroup_cores

pytestmark = pytest.mark.unit


def groups(folder: Path, own: str, **limits: str) -> tuple[Path, Path]:
    """A cgroup tree: `cpu.max` of groups by their path (`_` for `/`), and the file that names this process's own."""
    root = folder / "cgroup"
    for name, limit in limits.items():
        group = root / name.replace("_", "/").lstrip("/")
        group.mkdir(parents=True, exist_ok=True)
        (group / "cpu.max").write_text(limit + "\n")
    membership = folder / "membership"
    membership.write_text(f"12:cpu:/elsewhere\n0::{own}\n")
    return root, membership


@pytest.mark.parametrize(
    ("own", "limits", "expected"),
    [
        ("/", {"_": "150000 100000"}, 1.5),  # in a container
        ("/pods/a", {"pods": "max 100000", "pods_a": "50000 100000"}, 0.5),
        ("/pods/a", {"pods": "200000 100000", "pods_a": "max 100000"}, 2.0),  # the pod's limit, around the container's
        ("/pods/a", {"pods": "200000 100000", "pods_a": "400000 100000"}, 2.0),
        ("/gone/from/here", {"_": "300000 100000"}, 3.0),  # the host's path, seen from within
        ("/", {"_": "max 100000"}, None),
        ("/", {}, None),
        ("/", {"_": "nonsense"}, None),
    ],
)
def test_the_least_limit_on_the_way_up_counts(
    tmp_path: Path, own: str, limits: dict[str, str], expected: float | None
) -> None:
    assert cgroup_cores(*groups(tmp_path, own, **limits)) == expected


def test_without_cgroup_v2_nothing_is_limited(tmp_path: Path) -> None:
    (tmp_path / "v1").write_text("4:cpu:/a\n")
    assert cgroup_cores(tmp_path, tmp_path / "v1") is None
    assert cgroup_cores(tmp_path, tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("affinity", "quota", "expected"), [(8, None, 8), (8, 1.5, 2), (8, 0.2, 1), (2, 6.0, 2), (8, 3.0, 3)]
)
def test_affinity_and_quota_both_bind(
    monkeypatch: pytest.MonkeyPatch, affinity: int, quota: float | None, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)))
    monkeypatch.setattr(cores, "cgroup_cores", lambda: quota)
    assert available_cores() == expected
    assert EnrichSettings().threads == expected


def test_this_process_has_a_core() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
