"""A mapping: how somebody's own JSON becomes events, in YAML with JSONPath (RFC 9535). See `docs/sources/mapped.md`.

```yaml
events: $.items[*]                      # where the events are; without it the whole document is one
event:                                  # what all of them have
  channel: survey
  customer: {id: $.user.id, name: [$.user.name, $.user.login]}
rules:                                  # the first whose `when` is true adds its own; where none is, no event
  - when: $.type == 'nps' && $.score != null
    event: {id: $.id, survey: {metric: nps, score: $.score}, occurred_at: {path: $.at, time: milliseconds}}
```

`$` is the event's own part of the document, `$$` the whole document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from jsonpath import JSONPathEnvironment, JSONPathError

from voz_ingest.adapters.inbound.formats import html, money, times
from voz_ingest.adapters.inbound.formats.labels import labels
from voz_ingest.adapters.inbound.formats.plain_form import FREE, GROUPS, fitted, is_field, put

_JSONPATH = JSONPathEnvironment(strict=True)
_TOP = ("events", "when", "event", "rules")
_RULE = ("when", "event")
_VALUE = ("path", "value", "join", "html", "divide", "map", "format", "time", "zone", "default")
_TIMES: dict[str, Callable[[Any], str | None]] = {
    "seconds": times.seconds,
    "milliseconds": times.milliseconds,
    "microseconds": times.microseconds,
    "mail": times.mail,
}
_QUOTED_OR_ROOT = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|\$\$?")


class MappingError(ValueError):
    """A mapping that can't be used: which entry, and why."""

    def __init__(self, entry: str, detail: str) -> None:
        super().__init__(f"{entry or 'the mapping'}: {detail}")
        self.entry, self.detail = entry, detail


@dataclass(frozen=True, slots=True)
class _Place:
    """An event's own part of the document, and the document."""

    item: Any
    document: Any


_Get = Callable[[_Place], Any]


@dataclass(frozen=True, slots=True)
class _Rule:
    applies: Callable[[_Place], bool]
    fields: dict[str, _Get]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping ready for use."""

    _items: Callable[[Any], list[Any]]
    _rules: tuple[_Rule, ...]

    def events(self, document: Any) -> Iterator[dict[str, Any]]:
        """The plain form of every event in a document; its id is the mapping's business. Raises MappingError for a
        document that is nested too deeply."""
        try:
            for item in self._items(document):
                place = _Place(item, document)
                rule = next((rule for rule in self._rules if rule.applies(place)), None)
                if rule is not None:
                    yield _plain(rule, place)
        except (JSONPathError, RecursionError):
            raise MappingError("", "the document is nested too deeply") from None


def compile_mapping(document: Any) -> Mapping:
    """Read a mapping, as YAML or JSON gives it. Raises MappingError. What was read before is remembered."""
    try:
        return _compiled(orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS))
    except orjson.JSONEncodeError as error:
        raise MappingError("", f"must be plain YAML: {error}") from None


@lru_cache(maxsize=64)
def _compiled(written: bytes) -> Mapping:
    document = _object(orjson.loads(written), "", _TOP)
    where = document.get("events", "$")
    if not isinstance(where, str) or not where.startswith("$"):
        raise MappingError("events", "must be a JSONPath, such as $.items[*]")
    common = _fields(document.get("event", {}), "event")
    rules = _rules(document, common)
    if not rules:
        raise MappingError("", "needs an `event`, or `rules` with one")
    path = _path(where, "events")
    return Mapping(lambda whole: path(_Place(whole, whole)), rules)


def _rules(document: dict[str, Any], common: dict[str, _Get]) -> tuple[_Rule, ...]:
    if "rules" not in document:
        return (_Rule(_condition(document.get("when"), "when"), common),) if common else ()
    if "when" in document:
        raise MappingError("when", "stands in the rules where there are any")
    if not isinstance(document["rules"], list):
        raise MappingError("rules", "must be a list")
    found = []
    for index, rule in enumerate(document["rules"]):
        at = f"rules[{index}]"
        rule = _object(rule, at, _RULE)
        fields = common | _fields(rule.get("event", {}), f"{at}.event")
        if not fields:
            raise MappingError(at, "needs an `event`")
        found.append(_Rule(_condition(rule.get("when"), f"{at}.when"), fields))
    return tuple(found)


def _plain(rule: _Rule, place: _Place) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, get in rule.fields.items():
        value = get(place)
        if value is not None and value != "" and value != {}:
            put(plain, name, fitted(name, value))
    return plain


# Fields


def _fields(document: Any, at: str, name: str = "") -> dict[str, _Get]:
    """The fields of an `event`, by their dotted names: inner objects and dotted names are the same."""
    if not isinstance(document, dict):
        raise MappingError(at, "must be an object")
    found: dict[str, _Get] = {}
    for key, said in document.items():
        inner, entry = f"{name}.{key}" if name else key, f"{at}.{key}"
        if inner in GROUPS and isinstance(said, dict) and not (inner in FREE and "path" in said):
            found |= _fields(said, entry, inner)
        elif inner in FREE:
            found[inner] = _whole_group(said, entry)
        elif is_field(inner):
            found[inner] = _value(said, entry, is_time=inner == "occurred_at")
        else:
            raise MappingError(entry, "is no field of the plain form")
    return found


def _whole_group(said: Any, at: str) -> _Get:
    """An object whose plain values become attributes."""
    get = _value(said, at)
    return lambda place: labels(get(place))


def _value(said: Any, at: str, *, is_time: bool = False) -> _Get:
    """A path, several of them (the first that leads anywhere), a value as it stands, or an object that says more."""
    if isinstance(said, dict):
        return _spec(_object(said, at, _VALUE), at, f"{at}.path", is_time=is_time)
    if isinstance(said, list) or (isinstance(said, str) and said.startswith("$")):
        return _spec({"path": said}, at, at, is_time=is_time)
    return lambda _: said


def _spec(said: dict[str, Any], at: str, path_at: str, *, is_time: bool) -> _Get:
    if ("path" in said) == ("value" in said):
        raise MappingError(at, "needs either `path` or `value`")
    get = _source(said, at, path_at)
    steps: list[Callable[[Any], Any]] = [
        *_option(said, "html", at, bool, lambda yes: lambda v: html.to_text(v) if yes and isinstance(v, str) else v),
        *_option(said, "divide", at, (int, float), lambda by: _divided(by, f"{at}.divide")),
        *_option(said, "map", at, dict, lambda words: lambda v: words.get(str(fitted("text", v)))),
        *_option(said, "format", at, str, lambda form: _formatted(form, f"{at}.format")),
    ]
    if is_time or "time" in said:
        steps.append(_time(said, at))
    elif "zone" in said:
        raise MappingError(f"{at}.zone", "belongs to a `time`")
    default = said.get("default")

    def value(place: _Place) -> Any:
        found = get(place)
        for step in steps:
            if found is None or found == "":
                break
            found = step(found)
        return default if found is None or found == "" else found

    return value


def _option(
    said: dict[str, Any], name: str, at: str, kind: Any, make: Callable[[Any], Callable[[Any], Any]]
) -> list[Callable[[Any], Any]]:
    if name not in said:
        return []
    if not isinstance(said[name], kind) or (kind is not bool and isinstance(said[name], bool)):
        means = {bool: "true or false", str: "a string", dict: "an object"}
        raise MappingError(f"{at}.{name}", f"must be {means.get(kind, 'a number')}")
    return [make(said[name])]


def _source(said: dict[str, Any], at: str, path_at: str) -> _Get:
    """What stands at the paths: the first value that isn't empty or, with `join`, all of them."""
    if "value" in said:
        literal = said["value"]
        return lambda _: literal
    written = said["path"] if isinstance(said["path"], list) else [said["path"]]
    paths = [_path(path, path_at) for path in written]
    if not paths:
        raise MappingError(path_at, "must name a path")

    def values(place: _Place) -> Iterator[Any]:
        return (value for path in paths for value in path(place) if value is not None and value != "")

    if "join" not in said:
        return lambda place: next(values(place), None)
    between = said["join"]
    if not isinstance(between, str):
        raise MappingError(f"{at}.join", "must be a string")
    return lambda place: between.join(str(fitted("text", value)) for value in values(place) if _is_plain(value))


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def _divided(by: float, at: str) -> Callable[[Any], Any]:
    """Minor units, for instance, as major ones: exactly, as money is."""
    if not by:
        raise MappingError(at, "must not be 0")
    divisor = Decimal(str(by))

    def divided(value: Any) -> Any:
        found = money.decimal(value)
        return value if found is None else format((found / divisor).normalize(), "f")

    return divided


def _formatted(form: str, at: str) -> Callable[[Any], Any]:
    if form.count("{}") != 1:
        raise MappingError(at, "must have one {}, where the value goes")
    return lambda value: form.replace("{}", str(fitted("text", value)))


def _time(said: dict[str, Any], at: str) -> Callable[[Any], Any]:
    """A moment; what is none stays as it is, so that the event is refused and not told at a wrong time."""
    form, zone = said.get("time", "iso"), _zone(said, at)
    if form == "iso":
        return lambda value: times.iso(value, zone) or value
    if form in _TIMES:
        read = _TIMES[form]
        return lambda value: read(value) or value
    if not isinstance(form, str) or "%" not in form:
        names = ", ".join(("iso", *_TIMES))
        raise MappingError(f"{at}.time", f"must be one of {names}, or a form such as %d/%m/%Y %H:%M")

    def parsed(value: Any) -> Any:
        try:
            moment = datetime.strptime(str(value).strip(), form)  # noqa: DTZ007 - the zone follows
        except ValueError:
            return value
        return times.rfc3339(moment if moment.tzinfo else moment.replace(tzinfo=zone)) or value

    return parsed


def _zone(said: dict[str, Any], at: str) -> tzinfo:
    name = said.get("zone", "UTC")
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (OSError, ValueError, TypeError, KeyError):
        raise MappingError(f"{at}.zone", "must be a time zone such as Europe/Madrid") from None


# JSONPath


def _path(written: Any, at: str) -> Callable[[_Place], list[Any]]:
    if not isinstance(written, str) or not written.startswith("$"):
        raise MappingError(at, "must be a JSONPath that begins with $ or $$")
    whole = written.startswith("$$")
    try:
        path = _JSONPATH.compile(written[1:] if whole else written)
    except JSONPathError as error:
        raise MappingError(at, _why(error, written)) from None
    return lambda place: path.findall(place.document if whole else place.item)


def _condition(written: Any, at: str) -> Callable[[_Place], bool]:
    """A filter of RFC 9535 over what stands at `$` and `$$`; without one it is always true."""
    if written is None:
        return lambda _: True
    if not isinstance(written, str) or not written.strip():
        raise MappingError(at, "must be a condition such as $.type == 'review'")
    roots = {"$": "$[0]", "$$": "$[1]"}
    filter_ = _QUOTED_OR_ROOT.sub(lambda found: roots.get(found[0], found[0]), written.strip())
    try:
        path = _JSONPATH.compile(f"$[?{filter_}]")
    except JSONPathError as error:
        raise MappingError(at, _why(error, written)) from None
    return lambda place: any(match.parts[0] == 0 for match in path.finditer([place.item, place.document]))


def _why(error: JSONPathError, written: str) -> str:
    return f"can't be read: {str(error.args[0]) if error.args else error} (in {written})"


def _object(said: Any, at: str, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise MappingError(at, "must be an object")
    for name in said:
        if name not in known:
            entry = f"{at}.{name}" if at else name
            raise MappingError(entry, f"isn't known here; known: {', '.join(known)}")
    return said
