"""How many cores this process may use."""

import math
import os
from pathlib import Path


def available_cores() -> int:
    """Cores that this process may run on: its affinity, and no more than its cgroup's CPU time comes to, rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_cores()
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def cgroup_cores(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> float | None:
    """The cores that cgroup v2 grants, such as 1.5: the least `cpu.max` of this process's group and those around it.

    None where nothing is limited, or there is no cgroup v2. A container sees its own group as the root.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    own = next((root / line[3:].lstrip("/") for line in lines if line.startswith("0::")), root)
    limits = [limit for group in (own, *own.parents) if group.is_relative_to(root) if (limit := _limit(group))]
    return min(limits, default=None)


def _limit(group: Path) -> float | None:
    try:
        quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return None  # the root group has no such file
    return None if quota == "max" else int(quota) / int(period)
