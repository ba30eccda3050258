"""What survey tools share: which answer is a score, on which scale, and whose comment a text is.

```yaml
options:
  questions:                                  # by the tool's id, or the reference that it shows for it
    satisfaction: {metric: csat, min: 1, max: 5}
    effort: {metric: ces, min: 1, max: 7, inverted: true}      # 7 is hard
    "855": {metric: csat, values: {"3057839051": 1, "Muy satisfecho": 5}}   # choices, by id or label
    first_name: {ignore: true}
  customer_field: client_no                   # what of the tool's own fields is the company's id of a customer
```

A metric is declared here, or by the tool where it has a type of question for it; no scale and no metric is guessed. A
scale without a metric is a rating.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from voz_ingest.adapters.inbound.formats import ids, people, walk
from voz_ingest.adapters.inbound.formats.drafts import MAX_ATTRIBUTE_CHARS
from voz_ingest.adapters.inbound.formats.labels import labels
from voz_ingest.adapters.inbound.formats.walk import Fields, some

METRICS = frozenset({"nps", "csat", "ces"})
_SPEC = frozenset({"metric", "min", "max", "inverted", "values", "question", "ignore"})
_SCALES = {"nps": (0.0, 10.0), "csat": (1.0, 5.0), "ces": (1.0, 7.0)}
"""The scales of the metrics where neither the tool nor the connection says another (API: `survey`)."""
_MAX_FACTS = 25
_FIRST_OR_LAST_NUMBER = (re.compile(r"\s*(\d{1,3})\b"), re.compile(r".*\b(\d{1,3})\s*", re.DOTALL))
_CUSTOMER_FIELDS = ("customer_id", "customerid", "user_id", "userid", "client_id", "external_id", "account_id", "uid")
_PERSONAL = frozenset({"email", "e_mail", "email_address", "mail", "phone", "phone_number", "mobile"})
_PERSONAL |= {"name", "full_name", "first_name", "firstname", "last_name", "lastname"}
_LANGUAGE = frozenset({"lang", "language", "locale"})


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `names`: what a connection may call its question. `choices`: the ids of what was chosen, whose words
    are the `label`. `metric` and its `scale`: those of a type of question that the tool itself has for it."""

    number: str
    names: tuple[str, ...] = ()
    question: str = ""
    score: float | None = None
    scale: tuple[float, float] | None = None
    metric: str = ""
    text: str = ""
    choices: tuple[str, ...] = ()
    label: str = ""


def check(options: Mapping[str, Any]) -> None:
    """Raises ValueError for `questions` that say nothing useful."""
    questions = options.get("questions", {})
    if not isinstance(questions, dict):
        raise ValueError("questions must name questions, each with its metric")
    for name, spec in questions.items():
        at = f"questions.{name}"
        if not isinstance(spec, dict) or not _SPEC.issuperset(spec):
            raise ValueError(f"{at} must be an object of {', '.join(sorted(_SPEC))}")
        if "metric" in spec and spec["metric"] not in METRICS:
            raise ValueError(f"{at}.metric must be one of {', '.join(sorted(METRICS))}")
        low, high = spec.get("min"), spec.get("max")
        if (low is None) != (high is None) or (low is not None and not _is_scale(low, high)):
            raise ValueError(f"{at} needs both min and max, min below max, or neither")
        values = spec.get("values", {})
        if not isinstance(values, dict) or any(walk.number(value) is None for value in values.values()):
            raise ValueError(f"{at}.values must give each choice a number")


def events(
    answers: Iterable[Answer], response: Fields, options: Mapping[str, Any], *, comments: bool = True
) -> list[Fields]:
    """An event for each score, and one for each text that is no score's comment.

    `response`: what all have in common, with the response's id. `comments`: with one score in the response, the text
    after it is its comment (or the first, when none comes after it).
    """
    specs = questions(options)
    read = [_declared(answer, specs) for answer in answers]
    scored = [index for index, (answer, _) in enumerate(read) if answer.score is not None]
    texts = [index for index, (answer, _) in enumerate(read) if answer.text and answer.score is None]
    comment = None
    if comments and len(scored) == 1 and texts and not read[scored[0]][0].text:
        comment = next((index for index in texts if index > scored[0]), texts[0])
    found = []
    for index, (answer, spec) in enumerate(read):
        if answer.score is not None:
            said = read[comment][0].text if comment is not None else ""
            found.append(_score(answer, spec, response, answer.text or said))
        elif answer.text and index != comment:
            about = {**response.get("attributes", {}), **_asked(answer)}
            found.append({**_named(answer, response), "text": answer.text, **some(attributes=about)})
    return found


def questions(options: Mapping[str, Any]) -> Fields:
    """The questions that a connection declares, by name; YAML reads names such as `855` as numbers."""
    return _by_name(walk.fields(options.get("questions")))


def chosen(answers: Iterable[Answer], options: Mapping[str, Any]) -> Fields:
    """What was chosen, as attributes."""
    specs = questions(options)
    found: Fields = {}
    for answer in answers:
        answer, _ = _declared(answer, specs)
        if answer.label and answer.score is None and len(found) < _MAX_FACTS:
            name = snake(answer.names[0] if answer.names else answer.number)
            found[f"answer_{name}"[:64]] = answer.label[:MAX_ATTRIBUTE_CHARS]
    return found


def facts(values: Any, *, without: Iterable[str] = ()) -> Fields:
    """Fields that the company has added to a survey, as attributes; who somebody is belongs to the customer."""
    left_out = _PERSONAL | _LANGUAGE | {*_CUSTOMER_FIELDS, *map(snake, without)}
    found: Fields = {}
    for name, value in labels(values).items():
        if snake(name) and snake(name) not in left_out and len(found) < _MAX_FACTS:
            found.setdefault(snake(name), value)
    return found


def customer(
    fields: Any, options: Mapping[str, Any], *, handles: Sequence[str] = (), name: str = "", otherwise: str
) -> Fields:
    """Who answered: by the company's own id, if a field of theirs has it, and by the address that was given.

    `otherwise`: the response, for somebody of whom nothing is known: two of them are not the same person.
    """
    given = {snake(key): walk.identifier(value) for key, value in fields.items()} if isinstance(fields, dict) else {}
    declared = options.get("customer_field")
    names = (snake(str(declared)),) if declared else _CUSTOMER_FIELDS
    number = next((given[each] for each in names if given.get(each)), "")
    addresses = (*handles, *(given.get(each, "") for each in ("email", "e_mail", "email_address", "mail")))
    handle = next((each.strip().lower() for each in addresses if "@" in each), next(filter(None, handles), ""))
    full = people.full_name(
        given.get("first_name") or given.get("firstname") or "", given.get("last_name") or given.get("lastname") or ""
    )
    return some(
        id=ids.compose(number),
        handle=ids.compose(handle or ("" if number else otherwise)),
        name=people.full_name(name) or full or people.full_name(given.get("name") or given.get("full_name") or ""),
    )


def snake(name: str) -> str:
    """A name as an attribute has it: `Delighted Source` is `delighted_source`."""
    spread = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name[:200])
    return re.sub(r"[^a-z0-9]+", "_", spread.lower()).strip("_")[:64]


def _declared(answer: Answer, specs: Fields) -> tuple[Answer, Fields]:
    """An answer as the connection reads it."""
    spec: Fields = next((walk.fields(specs, name) for name in (*answer.names, answer.number) if name in specs), {})
    if not spec:
        return answer, spec
    if spec.get("ignore"):
        return Answer(answer.number), spec
    said, values = answer.text or answer.label, _by_name(walk.fields(spec, "values"))
    score = next((walk.number(values, each) for each in (*answer.choices, said) if each in values), answer.score)
    if score is None and ("metric" in spec or "max" in spec):
        score = _number_in(said)
    metric = walk.string(spec, "metric") or answer.metric
    low, high = walk.number(spec, "min"), walk.number(spec, "max")
    is_fixed = metric == answer.metric == "nps" and answer.scale is not None
    return replace(
        answer,
        question=walk.string(spec, "question") or answer.question,
        score=score,
        scale=answer.scale if low is None or high is None or is_fixed else (low, high),
        metric=metric,
        text="" if score is not None and answer.score is None else answer.text,
    ), spec


def _by_name(given: Fields) -> Fields:
    return {str(name): value for name, value in given.items()}


def _number_in(said: str) -> float | None:
    """A number, or the one that a label begins or ends with (`10 - very likely`)."""
    first, last = _FIRST_OR_LAST_NUMBER
    found = walk.number(said)
    if found is not None or len(said) > MAX_ATTRIBUTE_CHARS:
        return found
    label = first.match(said) or last.fullmatch(said)
    return float(label[1]) if label else None


def _score(answer: Answer, spec: Fields, response: Fields, comment: str) -> Fields:
    named, about = _named(answer, response), response.get("attributes", {})
    if not answer.metric:
        rating = some(rating=_whole(answer.score), rating_max=_whole(answer.scale[1]) if answer.scale else None)
        about = {**about, **_asked(answer), **rating}
        return {**named, **({"text": comment} if comment else {"behaviour": {"type": "rating"}}), "attributes": about}
    low, high = answer.scale or _SCALES[answer.metric]
    survey = some(
        metric=answer.metric,
        score=answer.score,
        scale={"min": low, "max": high, "inverted": spec.get("inverted") is True},
        question=answer.question[:2000],
        comment=comment,
    )
    return {**named, "survey": survey, **some(attributes=about)}


def _named(answer: Answer, response: Fields) -> Fields:
    return {**response, "id": ids.compose(response["id"], answer.number)}


def _asked(answer: Answer) -> Fields:
    return some(question=answer.question[:MAX_ATTRIBUTE_CHARS])


def _whole(value: float | None) -> float | int | None:
    return int(value) if value is not None and value == int(value) else value


def _is_scale(low: Any, high: Any) -> bool:
    first, last = walk.number(low), walk.number(high)
    return first is not None and last is not None and first < last
