"""What people see on a terminal."""

from collections.abc import Mapping
from typing import TextIO

# Backgrounds of the 256-colour palette, from a hint to the darkest that white letters are still read on.
_GREENS, _REDS = (22, 28, 34), (52, 88, 124)
_STEPS = (0.02, 0.1, 0.25)


def wants_colour(output: TextIO, environ: Mapping[str, str]) -> bool:
    """On a terminal, unless NO_COLOR (no-color.org) or a terminal without colours forbids it."""
    return output.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def printable(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would obey: what customers write may hold anything."""
    return " ".join("".join(each if each.isprintable() or each.isspace() else "�" for each in text).split())


def shaded(text: str, strength: float) -> str:
    """The text on green for what is above 0, on red for what is below, the stronger the deeper; as it is near 0."""
    level = sum(abs(strength) >= step for step in _STEPS)
    if not level:
        return text
    return f"\x1b[97;48;5;{(_GREENS if strength > 0 else _REDS)[level - 1]}m{text}\x1b[0m"


def signed(value: float) -> str:
    """A number with its sign and two decimals."""
    return f"{value:+.2f}".replace("-", "−")
