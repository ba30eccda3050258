"""Which of the URLs that a message of SNS names are asked for: Amazon's own, and nothing else."""

from __future__ import annotations

import json

import pytest

from voz_ingest.adapters.inbound.sources import Payload, load

SOURCE = load("ses")
KEY = "SimpleNotificationService-1a2b3c.pem"
TOKEN = "Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-west-1:111122223333:mail&Token=2336412f37"


def message(**fields: object) -> Payload:
    return Payload(json.dumps({"Type": "SubscriptionConfirmation", "Signature": "c2ln", **fields}).encode())


@pytest.mark.parametrize(
    "url",
    [
        f"https://sns.eu-west-1.amazonaws.com/{KEY}",
        f"https://sns.us-gov-west-1.amazonaws.com/{KEY}",
        f"https://sns.cn-north-1.amazonaws.com.cn/{KEY}",
    ],
)
def test_a_certificate_of_amazons_is_needed(url: str) -> None:
    assert SOURCE.needs is not None
    assert SOURCE.needs(message(SigningCertURL=url)) == [url]


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        "",
        KEY,
        f"http://sns.eu-west-1.amazonaws.com/{KEY}",
        f"ftp://sns.eu-west-1.amazonaws.com/{KEY}",
        f"HTTPS://SNS.EU-WEST-1.AMAZONAWS.COM/{KEY}",
        f"https://sns.eu-west-1.amazonaws.com:8443/{KEY}",
        f"https://sns.eu-west-1.amazonaws.com@evil.example/{KEY}",
        f"https://ana@sns.eu-west-1.amazonaws.com/{KEY}",
        f"https://sns.eu-west-1.amazonaws.com.evil.example/{KEY}",
        f"https://sns.eu-west-1.amazonaws.com.cn.evil.example/{KEY}",
        f"https://evil.example/sns.eu-west-1.amazonaws.com/{KEY}",
        f"https://evil.example#sns.eu-west-1.amazonaws.com/{KEY}",
        f"https://evil.example\\.sns.eu-west-1.amazonaws.com/{KEY}",
        f"https://sns.eu-west-1xamazonaws.com/{KEY}",
        f"https://sns.evil.example.amazonaws.com/{KEY}",
        f"https://bucket.s3.eu-west-1.amazonaws.com/{KEY}",
        f"https://sns.amazonaws.com/{KEY}",
        f"https://sns.éu.amazonaws.com/{KEY}",
        "https://sns.eu-west-1.amazonaws.com/key.pem.exe",
        "https://sns.eu-west-1.amazonaws.com/key",
        "https://sns.eu-west-1.amazonaws.com/key?x=.pem",
        "https://sns.eu-west-1.amazonaws.com/key#.pem",
        "https://sns.eu-west-1.amazonaws.com/a/../key.pem",
        "https://sns.eu-west-1.amazonaws.com/%2e%2e/key.pem",
        f"https://sns.eu-west-1.amazonaws.com/{KEY}\n",
        f"https://sns.eu-west-1.amazonaws.com/{KEY}\r\nHost: evil.example",
        f" https://sns.eu-west-1.amazonaws.com/{KEY}",
    ],
)
def test_nothing_else_is(url: object) -> None:
    assert SOURCE.needs is not None
    said = message(SigningCertURL=url)
    assert SOURCE.needs(said) == []
    assert not SOURCE.verify(said, ["secret"])


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b"\xff"])
def test_what_is_no_message_needs_nothing(body: bytes) -> None:
    assert SOURCE.needs is not None
    assert SOURCE.follow is not None
    assert SOURCE.needs(Payload(body)) == []
    assert SOURCE.follow(Payload(body)) == []
    assert not SOURCE.verify(Payload(body), ["secret"])


def test_a_subscription_is_confirmed() -> None:
    assert SOURCE.follow is not None
    url = f"https://sns.eu-west-1.amazonaws.com/?{TOKEN}"
    assert SOURCE.follow(message(SubscribeURL=url)) == [url]


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("UnsubscribeConfirmation", f"https://sns.eu-west-1.amazonaws.com/?{TOKEN}"),
        ("Notification", f"https://sns.eu-west-1.amazonaws.com/?{TOKEN}"),
        ("SubscriptionConfirmation", f"https://sns.eu-west-1.amazonaws.com.evil.example/?{TOKEN}"),
        ("SubscriptionConfirmation", f"https://sns.eu-west-1.amazonaws.com@evil.example/?{TOKEN}"),
        ("SubscriptionConfirmation", f"http://sns.eu-west-1.amazonaws.com/?{TOKEN}"),
        ("SubscriptionConfirmation", f"https://sns.eu-west-1.amazonaws.com:80/?{TOKEN}"),
        ("SubscriptionConfirmation", f"https://evil.example/?{TOKEN}"),
        ("SubscriptionConfirmation", "https://sns.eu-west-1.amazonaws.com/?Action=DeleteTopic&TopicArn=arn"),
        ("SubscriptionConfirmation", f"https://sns.eu-west-1.amazonaws.com/?{TOKEN}#@evil.example"),
        ("SubscriptionConfirmation", None),
    ],
)
def test_no_other_url_is_followed(kind: str, url: object) -> None:
    assert SOURCE.follow is not None
    assert SOURCE.follow(message(Type=kind, SubscribeURL=url)) == []


def test_topics_are_a_list_of_arns() -> None:
    assert SOURCE.check is not None
    SOURCE.check({})
    SOURCE.check({"topic_arns": ["arn:aws:sns:eu-west-1:111122223333:mail"]})
    for topics in ("arn:aws:sns:eu-west-1:111122223333:mail", [7], ["mail"]):
        with pytest.raises(ValueError, match="topic_arns"):
            SOURCE.check({"topic_arns": topics})
