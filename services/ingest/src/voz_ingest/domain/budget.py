"""How many bytes may be held at once: what has been received and isn't yet acknowledged by the log."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType


class OverBudgetError(Exception):
    """There is no room for more now."""


@dataclass(slots=True)
class ByteBudget:
    """Counts bytes in flight; refuses to pass `max_bytes`."""

    max_bytes: int
    used_bytes: int = 0

    def take(self, size: int) -> None:
        """Hold `size` more bytes. Raises OverBudgetError, having taken nothing, when they don't fit."""
        if self.used_bytes + size > self.max_bytes:
            raise OverBudgetError
        self.used_bytes += size

    def give(self, size: int) -> None:
        """Hold them no longer."""
        self.used_bytes -= size

    def hold(self) -> Held:
        """A share that grows and shrinks, and is given back at the end of its `with` block."""
        return Held(self)


@dataclass(slots=True)
class Held:
    """One holder's share of a budget."""

    budget: ByteBudget
    size: int = 0

    def resize(self, size: int) -> None:
        """Hold exactly `size` bytes. Raises OverBudgetError when they don't fit."""
        if size > self.size:
            self.budget.take(size - self.size)
        else:
            self.budget.give(self.size - size)
        self.size = size

    def __enter__(self) -> Held:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.resize(0)
