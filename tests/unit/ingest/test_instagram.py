"""What Instagram announces without saying it is asked for."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

from voz_ingest.adapters.inbound.sources import Payload, load

ANNOUNCEMENT = {
    "object": "instagram",
    "entry": [
        {
            "id": "17841405309211844",
            "time": 1763633406,
            "changes": [
                {"field": "mentions", "value": {"media_id": "17918195224117851", "comment_id": "17894227972186120"}},
                {"field": "mentions", "value": {"media_id": "17918195224117852"}},
                {"field": "mentions", "value": {"media_id": "1/../../me"}},
                {"field": "comments", "value": {"id": "1", "text": "Hola"}},
            ],
        }
    ],
}


def test_the_texts_of_mentions_are_asked_for_with_the_connections_token() -> None:
    announced = load("instagram").announced
    assert announced is not None
    asked = announced(Payload(json.dumps(ANNOUNCEMENT).encode(), options={"access_token": "EAAG"}), ["app secret"])
    assert [parse_qs(urlsplit(pull.url).query)["fields"][0] for pull in asked] == [
        "mentioned_comment.comment_id(17894227972186120){id,text,timestamp,media{id}}",
        "mentioned_media.media_id(17918195224117852){id,caption,username,timestamp,permalink}",
    ]
    for pull in asked:
        assert pull.url.startswith("https://graph.facebook.com/v23.0/17841405309211844?")
        assert pull.headers == {"Authorization": "Bearer EAAG"}


def test_without_a_token_nothing_is_asked_for() -> None:
    announced = load("instagram").announced
    assert announced is not None
    assert announced(Payload(json.dumps(ANNOUNCEMENT).encode()), ["app secret"]) == []
