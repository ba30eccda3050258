"""Money as Voz takes it: major units as a decimal string, with its currency in ISO 4217."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from voz_ingest.adapters.inbound.formats.walk import Fields

NO_DECIMALS = frozenset({"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV"})
NO_DECIMALS |= {"XAF", "XOF", "XPF"}
THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_CURRENCY = re.compile(r"[A-Z]{3}")
_LARGEST = Decimal(10) ** 15
_MOST_DECIMALS = 6


def decimals(currency: str) -> int:
    """How many decimals a currency is written with (ISO 4217)."""
    return 0 if currency in NO_DECIMALS else 3 if currency in THREE_DECIMALS else 2


def worth(value: Any, currency: Any) -> Fields:
    """`amount` and `currency` of an amount in major units; nothing where either isn't there or isn't right."""
    amount = decimal(value)
    code = currency.strip().upper() if isinstance(currency, str) else ""
    if amount is None or not _CURRENCY.fullmatch(code):
        return {}
    exponent = amount.as_tuple().exponent
    written = -exponent if isinstance(exponent, int) else 0
    places = min(max(written, decimals(code)), _MOST_DECIMALS)
    return {"amount": f"{amount:.{places}f}", "currency": code}


def minor_worth(value: Any, currency: Any, digits: int) -> Fields:
    """The same of an amount in minor units, of which 10 to the power of `digits` make a major one."""
    amount = decimal(value)
    return {} if amount is None else worth(str(amount.scaleb(-digits)), currency)


def decimal(value: Any) -> Decimal | None:
    """A number, or a string that is one, exactly as it is written; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() and abs(found) < _LARGEST else None
