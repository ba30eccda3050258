"""The file of companies' own topics (VOZ_ENRICH_TOPICS).

```yaml
tenants:
  - id: demo
    topics:
      - id: lost-luggage
        name: Lost luggage
        description: Bags that did not arrive, or came late or broken
        examples:                       # five or more, in the words and languages of your customers
          - My suitcase never came out on the belt
          - Mi maleta se quedó en Lisboa
```
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from voz_enrich.domain.own_topics import MIN_EXAMPLES, OwnTopic, OwnTopics
from voz_enrich.domain.text import cleaned
from voz_streamkit.reload import FileError
from voz_streamkit.yaml_nodes import compose, mapping, refuse, sequence, text

MAX_TOPICS = 100
"""Of one tenant: topics are chosen for people to keep in mind."""
MAX_EXAMPLES = 100
"""Of one topic. Each costs a few milliseconds when the file is read."""
_ID = r"[a-z0-9]+(-[a-z0-9]+)*"
_ID_MEANT = "an id of lower-case letters and digits, words joined by `-`, such as `lost-luggage`"


def read_topics(path: Path) -> OwnTopics:
    """The topics of a file. Raises FileError with its name and the line."""
    try:
        return parse_topics(path.read_text(encoding="utf-8"))
    except FileError as error:
        raise FileError(path, error.line, error.message) from error
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(path, None, str(error)) from error


def parse_topics(written: str) -> OwnTopics:
    """Read the file's text. Raises FileError with the line."""
    document = mapping(compose(written), ("tenants",), ("tenants",))
    found: dict[str, tuple[OwnTopic, ...]] = {}
    for node in sequence(document["tenants"]):
        fields = mapping(node, ("id", "topics"), ("id", "topics"))
        tenant = text(fields["id"])
        if tenant in found:
            refuse(node, f"a second tenant `{tenant}`")
        found[tenant] = _topics(fields["topics"])
    return found


def _topics(node: yaml.Node) -> tuple[OwnTopic, ...]:
    items = sequence(node)
    if len(items) > MAX_TOPICS:
        refuse(items[MAX_TOPICS], f"more than {MAX_TOPICS} topics")
    found: dict[str, OwnTopic] = {}
    for item in items:
        topic = _topic(item)
        if topic.id in found:
            refuse(item, f"a second topic `{topic.id}`")
        found[topic.id] = topic
    return tuple(found.values())


def _topic(node: yaml.Node) -> OwnTopic:
    known = ("id", "name", "description", "examples")
    fields = mapping(node, known, known)
    return OwnTopic(
        id=text(fields["id"], _ID, _ID_MEANT),
        name=text(fields["name"]),
        description=_readable(fields["description"]),
        examples=_examples(fields),
    )


def _examples(fields: Mapping[str, yaml.Node]) -> tuple[str, ...]:
    items = sequence(fields["examples"])
    if len(items) < MIN_EXAMPLES:
        refuse(fields["examples"], f"{MIN_EXAMPLES} examples or more are needed, not {len(items)}")
    if len(items) > MAX_EXAMPLES:
        refuse(items[MAX_EXAMPLES], f"more than {MAX_EXAMPLES} examples")
    found: dict[str, None] = {}
    for item in items:
        example = _readable(item)
        if example in found:
            refuse(item, "this example stands here twice")
        found[example] = None
    return tuple(found)


def _readable(node: yaml.Node) -> str:
    written = text(node)
    if not any(letter.isalpha() for letter in cleaned(written)):
        refuse(node, "nothing in this text can be read")
    return written
