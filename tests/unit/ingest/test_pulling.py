"""How each source is asked and where it stands then: pure functions, walked through page by page."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from voz_ingest.adapters.inbound import sources
from voz_ingest.adapters.inbound.connections import Connections
from voz_ingest.adapters.inbound.connectors.declared import connectors_of
from voz_ingest.adapters.inbound.formats import jwt, pulling
from voz_ingest.adapters.inbound.sources import (
    Advance,
    Mailbox,
    MissingOptionError,
    Payload,
    PayloadError,
    Pull,
    PullState,
    Source,
)
from voz_ingest.domain.connection import Connection

pytestmark = pytest.mark.unit
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def state(position: Mapping[str, Any] | None = None, *, own: Sequence[str] = (), **options: Any) -> PullState:
    return PullState(position or {}, options, ("s3cret",), NOW, frozenset(own))


def asked(source: Source, at: PullState) -> Pull:
    assert source.pull is not None
    found = source.pull(at)
    assert isinstance(found, Pull)
    return found


def query(pull: Pull) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(pull.url).query))


def advanced(source: Source, at: PullState, document: Any) -> Advance:
    assert source.advance is not None
    found = source.advance(at, Payload(json.dumps(document).encode(), options=at.options))
    json.dumps(found.position)
    return found


def then(at: PullState, found: Advance, *, later: timedelta = timedelta()) -> PullState:
    return PullState(found.position, at.options, at.secrets, at.now + later, at.own)


def ago(**span: float) -> str:
    return (NOW - timedelta(**span)).isoformat()


class TestPagesNewestFirst:
    """The walk that YouTube, Google Play, the App Store and Trustpilot share."""

    def walk(self, at: PullState, dates: Sequence[str | None], following: str, **more: float) -> PullState:
        found = pulling.walked(at, ["a"], dates, following, **more)
        self._last = found
        return then(at, found)

    def more(self) -> bool:
        return self._last.again

    def test_the_feed_stands_at_the_newest_only_after_the_last_page(self) -> None:
        at = self.walk(state(), [ago(hours=1), ago(hours=2)], "p2")
        assert self.more()
        assert pulling.next_page(at, ["a"]) == "p2"
        at = self.walk(at, [ago(hours=3), ago(days=9)], "p3")
        assert not self.more(), "a week back is enough"
        assert pulling.next_page(at, ["a"]) == ""
        assert at.position["at"]["a"]["until"] == "2026-11-20T11:00:00Z"

    def test_the_next_round_ends_where_the_last_one_began(self) -> None:
        at = self.walk(state(), [ago(hours=1)], "")
        at = self.walk(at, [ago(minutes=1), ago(minutes=30)], "p2")
        assert self.more()
        self.walk(at, [ago(minutes=50), ago(hours=1)], "p3")
        assert not self.more()

    def test_a_page_without_moments_is_walked_through(self) -> None:
        self.walk(state(), [None], "p2")
        assert self.more()
        self.walk(state(), [], "")
        assert not self.more()

    def test_one_that_stands_on_top_and_is_old_does_not_end_the_walk(self) -> None:
        self.walk(state(), [ago(days=900), ago(hours=2)], "p2")
        assert self.more()

    def test_a_time_that_lies_ahead_hides_nothing(self) -> None:
        at = self.walk(state(), [(NOW + timedelta(days=400)).isoformat()], "")
        assert at.position["at"]["a"]["until"] == "2026-11-20T12:00:00Z"
        future = state({"at": {"a": {"until": "2090-01-01T00:00:00Z", "begun": ago(days=7)}}})
        self.walk(future, [ago(minutes=1)], "p2")
        assert not self.more(), "it begins at the present"

    def test_once_an_hour_it_looks_further_back(self) -> None:
        at = self.walk(state(), [ago(days=8)], "", overlap_hours=48)
        at = then(at, Advance(at.position), later=timedelta(minutes=5))
        self.walk(at, [ago(days=8)], "p2", overlap_hours=48)
        assert not self.more()
        at = then(at, Advance(at.position), later=timedelta(hours=1))
        at = self.walk(at, [ago(days=8)], "p2", overlap_hours=48)
        assert self.more()
        self.walk(at, [ago(days=10)], "p3", overlap_hours=48)
        assert not self.more()

    def test_a_page_that_is_not_known_any_more_begins_again(self) -> None:
        at = self.walk(state(), [ago(hours=1)], "gone")
        found = pulling.rescanned(at, ["a"])
        assert found is not None
        assert found.again
        assert pulling.next_page(then(at, found), ["a"]) == ""
        assert pulling.rescanned(then(at, found), ["a"]) is None

    def test_feeds_take_turns(self) -> None:
        at, feeds, order = state(), ["a", "b", "c"], []
        for _ in range(4):
            order.append(pulling.feed(at, feeds)[0])
            found = pulling.moved(at, feeds, {"id": order[-1]}, more=False)
            at = then(at, found)
            assert found.again is (order[-1] != "c")
        assert order == ["a", "b", "c", "a"]
        assert at.position["at"] == {name: {"id": name} for name in feeds}
        assert pulling.feed(then(at, Advance({**at.position, "turn": 99})), ["c"])[0] == "c"

    def test_a_rewind_to_a_moment_holds_for_every_feed(self) -> None:
        at = state({"since": "2026-01-02T03:04:05Z"})
        assert pulling.begins(at, ["a", "b"]) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        at = then(at, pulling.walked(at, ["a", "b"], [], ""))
        assert pulling.feed(at, ["a", "b"])[0] == "b"
        assert pulling.begins(at, ["a", "b"]) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        assert "since" not in pulling.walked(at, ["a", "b"], [], "").position


class TestMastodon:
    source = sources.load("mastodon")
    base = "https://social.example"

    def test_mentions_are_asked_for_from_the_oldest_on(self) -> None:
        at = state(base_url=self.base)
        first = asked(self.source, at)
        assert urlsplit(first.url)[:3] == ("https", "social.example", "/api/v1/notifications")
        assert "min_id" not in query(first)
        assert parse_qs(urlsplit(first.url).query)["types[]"] == ["mention", "quote", "status", "update"]
        assert first.headers == {"Authorization": "Bearer s3cret"}
        found = advanced(self.source, at, [{"id": "34"}, {"id": "9"}, "nonsense"])
        assert found.again
        assert query(asked(self.source, then(at, found)))["min_id"] == "34"
        found = advanced(self.source, then(at, found), [])
        assert not found.again
        assert query(asked(self.source, then(at, found)))["min_id"] == "34"

    def test_after_an_empty_beginning_nothing_is_left_out(self) -> None:
        at = state(base_url=self.base)
        at = then(at, advanced(self.source, at, []))
        assert query(asked(self.source, at))["min_id"] == "0"

    def test_hashtags_and_accounts_begin_a_week_ago(self) -> None:
        at = state(base_url=self.base, notifications=False, hashtags=["#acme", "móvil"], accounts="109")
        paths = []
        for _ in range(6):
            pull = asked(self.source, at)
            paths.append(urlsplit(pull.url).path)
            moment = int(query(pull)["min_id"]) >> 16
            assert datetime.fromtimestamp(moment / 1000, UTC) == NOW - timedelta(days=7)
            at = then(at, advanced(self.source, at, []))
        assert (
            paths
            == [
                "/api/v1/timelines/tag/acme",
                "/api/v1/timelines/tag/m%C3%B3vil",
                "/api/v1/accounts/109/statuses",
            ]
            * 2
        )

    def test_an_id_from_the_future_is_clamped(self) -> None:
        ahead = str(int((NOW + timedelta(days=30)).timestamp() * 1000) << 16)
        at = state({"at": {"tag/a": {"id": ahead}}}, base_url=self.base, notifications=False, hashtags=["a"])
        assert int(query(asked(self.source, at))["min_id"]) >> 16 == int(NOW.timestamp() * 1000)

    def test_streams_bring_no_position(self) -> None:
        assert self.source.streams is not None
        at = state({"at": {}}, base_url=self.base, streaming_url="wss://stream.example", hashtags=["acme"])
        user, tag = self.source.streams(at)
        assert (user.url, user.transport) == ("https://stream.example/api/v1/streaming/user/notification", "sse")
        assert tag.url == "https://stream.example/api/v1/streaming/hashtag?tag=acme"
        said = {"event": "update", "payload": "{}", "id": ""}
        assert advanced(self.source, at, said) == Advance(at.position)
        assert self.source.streams(state(base_url=self.base, stream=False)) == []

    def test_a_path_can_not_leave_its_place(self) -> None:
        at = state(base_url=self.base, notifications=False, accounts=["../../admin?x="])
        assert urlsplit(asked(self.source, at).url).path == "/api/v1/accounts/..%2F..%2Fadmin%3Fx%3D/statuses"


class TestBluesky:
    source = sources.load("bluesky")

    def cursor(self, position: Mapping[str, Any], **options: Any) -> datetime | None:
        assert self.source.streams is not None
        (pull,) = self.source.streams(state(position, own=["did:plc:acme"], **options))
        assert pull.transport == "websocket"
        assert pull.url.startswith("wss://jetstream2.us-east.bsky.network/subscribe?wantedCollections=app.bsky.feed")
        said = query(pull).get("cursor")
        return datetime.fromtimestamp(int(said) / 1e6, UTC) if said else None

    @staticmethod
    def at(moment: datetime) -> dict[str, int]:
        return {"cursor": int(moment.timestamp() * 1e6)}

    def test_it_goes_on_a_little_before_where_it_was(self) -> None:
        assert self.cursor({}) is None
        assert self.cursor(self.at(NOW - timedelta(hours=1))) == NOW - timedelta(hours=1, seconds=5)

    def test_cursors_from_the_future_and_out_of_retention_are_clamped(self) -> None:
        assert self.cursor(self.at(NOW + timedelta(days=9))) == NOW - timedelta(seconds=5)
        assert self.cursor(self.at(NOW - timedelta(days=9))) == NOW - timedelta(hours=36)
        assert self.cursor({"since": "2026-01-01T00:00:00Z"}) == NOW - timedelta(hours=36)
        assert self.cursor({"since": ago(hours=2)}) == NOW - timedelta(hours=2, seconds=5)

    def test_the_position_moves_on_and_comes_back_from_the_future(self) -> None:
        earlier, later = self.at(NOW - timedelta(hours=2)), self.at(NOW - timedelta(hours=1))
        assert advanced(self.source, state(earlier), {"time_us": later["cursor"]}).position == later
        assert advanced(self.source, state(later), {"time_us": earlier["cursor"]}).position == later
        future = self.at(NOW + timedelta(days=9))
        assert advanced(self.source, state(future), {"time_us": later["cursor"]}).position == later
        assert advanced(self.source, state(later), {"kind": "info"}).position == later

    @pytest.mark.parametrize(
        ("record", "wanted"),
        [
            ({"text": "buenos días"}, False),
            ({"text": "hola @acme", "facets": [{"features": [{"$type": "x#mention", "did": "did:plc:acme"}]}]}, True),
            ({"text": "sí", "reply": {"parent": {"uri": "at://did:plc:acme/app.bsky.feed.post/1"}}}, True),
            (None, True),
        ],
    )
    def test_wanted_is_what_concerns_the_company(self, record: Any, wanted: bool) -> None:
        assert self.source.wanted is not None
        message = {"did": "did:plc:ana", "time_us": 1, "kind": "commit", "commit": {"record": record}}
        payload = Payload(json.dumps(message).encode(), own=frozenset({"did:plc:acme"}))
        assert self.source.wanted(payload) is wanted
        assert self.source.wanted(Payload(b"{")) is True

    def test_the_whole_network_has_to_be_asked_for(self) -> None:
        assert self.source.streams is not None
        with pytest.raises(MissingOptionError):
            self.source.streams(state())
        assert self.source.streams(state(everything=True))


class TestYouTube:
    source = sources.load("youtube")

    @staticmethod
    def page(*dates: str, following: str = "") -> dict[str, Any]:
        items = [{"snippet": {"topLevelComment": {"snippet": {"publishedAt": date}}}} for date in dates]
        return {"items": items, "nextPageToken": following}

    def refused(self, at: PullState, status: int, reason: str) -> Advance | None:
        assert self.source.refused is not None
        body = json.dumps({"error": {"errors": [{"reason": reason}]}}).encode()
        return self.source.refused(at, status, Payload(body))

    def test_threads_of_a_channel(self) -> None:
        at = state(channel="UC1", api_key="k")
        pull = asked(self.source, at)
        assert pull.url.startswith("https://www.googleapis.com/youtube/v3/commentThreads?")
        assert query(pull)["allThreadsRelatedToChannelId"] == "UC1"
        assert pull.headers == {"X-Goog-Api-Key": "k"}, "and not in the URL, which is logged"
        found = advanced(self.source, at, self.page(ago(hours=1), following="t2"))
        assert found.again
        assert query(asked(self.source, then(at, found)))["pageToken"] == "t2"

    def test_a_quota_comes_back_at_midnight_in_california(self) -> None:
        found = self.refused(state(channel="UC1"), 403, "quotaExceeded")
        assert found == Advance({}, wait_seconds=(datetime(2026, 11, 21, 8, tzinfo=UTC) - NOW).total_seconds())

    def test_a_token_that_has_expired_begins_the_round_again(self) -> None:
        at = state(channel="UC1")
        at = then(at, advanced(self.source, at, self.page(ago(hours=1), following="t2")))
        found = self.refused(at, 400, "invalidPageToken")
        assert found is not None
        assert found.again
        assert "pageToken" not in query(asked(self.source, then(at, found)))
        assert self.refused(then(at, found), 400, "badRequest") is None

    def test_a_video_without_comments_is_passed_over(self) -> None:
        at = state(videos=["v1", "v2"])
        found = self.refused(at, 403, "commentsDisabled")
        assert found is not None
        assert found.again
        assert query(asked(self.source, then(at, found)))["videoId"] == "v2"
        found = self.refused(then(at, found), 403, "commentsDisabled")
        assert found is not None
        assert not found.again
        assert found.wait_seconds == 3600
        assert self.refused(at, 500, "backendError") is None

    def test_a_page_without_items_is_no_page(self) -> None:
        with pytest.raises(PayloadError):
            advanced(self.source, state(channel="UC1"), {"kind": "x"})


class TestGooglePlay:
    source = sources.load("googleplay")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def account(self) -> str:
        return json.dumps({"client_email": "bot@x.example", "private_key_id": "k1", "private_key": pem(self.key)})

    def test_a_service_account_gets_a_token(self) -> None:
        assert self.source.authorise is not None
        at = state(app="com.acme", service_account=self.account())
        pull = self.source.authorise(at)
        assert pull is not None
        assert (pull.method, pull.url) == ("POST", "https://oauth2.googleapis.com/token")
        form = dict(parse_qsl(pull.body.decode()))
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        header, claims, signature, said = opened(form["assertion"])
        assert header == {"kid": "k1", "alg": "RS256", "typ": "JWT"}
        assert claims == {
            "iss": "bot@x.example",
            "scope": "https://www.googleapis.com/auth/androidpublisher",
            "aud": "https://oauth2.googleapis.com/token",
            "iat": int(NOW.timestamp()),
            "exp": int(NOW.timestamp()) + 3600,
        }
        self.key.public_key().verify(signature, said, padding.PKCS1v15(), hashes.SHA256())

    def test_pages_are_asked_for_with_it(self) -> None:
        at = PullState({}, {"app": "com.acme", "access_token": "given"}, (), NOW)
        assert self.source.authorise is not None
        assert self.source.authorise(at) is None
        pull = asked(self.source, at)
        assert urlsplit(pull.url).path == "/androidpublisher/v3/applications/com.acme/reviews"
        assert pull.headers == {"Authorization": "Bearer given"}
        review = {"comments": [{"userComment": {"lastModified": {"seconds": str(int(NOW.timestamp()) - 60)}}}]}
        page = {"reviews": [review], "tokenPagination": {"nextPageToken": "t2"}}
        found = advanced(self.source, at, page)
        assert found.again
        assert query(asked(self.source, then(at, found)))["token"] == "t2"
        assert not advanced(self.source, at, {}).again, "an app without new reviews"


class TestAppStore:
    source = sources.load("appstore")
    key = ec.generate_private_key(ec.SECP256R1())

    def test_the_api_is_asked_with_a_token_of_the_key(self) -> None:
        at = state(app="123", key_id="K1", issuer="i-1", private_key=pem(self.key))
        pull = asked(self.source, at)
        assert urlsplit(pull.url)[1:3] == ("api.appstoreconnect.apple.com", "/v1/apps/123/customerReviews")
        assert query(pull) == {"sort": "-createdDate", "limit": "200", "include": "response"}
        header, claims, signature, said = opened(pull.headers["Authorization"].removeprefix("Bearer "))
        assert header == {"kid": "K1", "alg": "ES256", "typ": "JWT"}
        issued = int(NOW.timestamp())
        assert claims == {"iss": "i-1", "iat": issued, "exp": issued + 900, "aud": "appstoreconnect-v1"}
        assert len(signature) == 64
        numbers = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        self.key.public_key().verify(encode_dss_signature(*numbers), said, ec.ECDSA(hashes.SHA256()))

    def test_the_next_page_is_the_one_that_it_names(self) -> None:
        at = state(app="123", key_id="K1", issuer="i", private_key=pem(self.key))
        page = {"data": [{"attributes": {"createdDate": ago(hours=1)}}], "links": {"next": "https://api.example/2"}}
        found = advanced(self.source, at, page)
        assert found.again
        assert asked(self.source, then(at, found)).url == "https://api.example/2"

    def test_without_a_key_the_public_feed_of_each_country(self) -> None:
        at = PullState({}, {"app": "123", "countries": ["ES", "pt"]}, (), NOW)
        urls = []
        for _ in range(4):
            urls.append(asked(self.source, at).url)
            entry = [{"im:rating": {"label": "1"}, "updated": {"label": ago(hours=1 if len(urls) == 1 else 999)}}]
            at = then(at, advanced(self.source, at, {"feed": {"entry": [{"im:name": {}}, *entry]}}))
        path = "https://itunes.apple.com/{}/rss/customerreviews/page={}/id=123/sortby=mostrecent/json"
        assert urls == [path.format(*each) for each in (("es", 1), ("es", 2), ("pt", 1), ("es", 1))]
        assert not advanced(self.source, state(app="123", countries=["es"]), {"feed": {}}).again

    def test_the_feed_ends_after_ten_pages(self) -> None:
        at, pages = state(app="123", countries=["es"]), 0
        while True:
            pages += 1
            found = advanced(
                self.source,
                at,
                {"feed": {"entry": [{"im:rating": {}, "updated": {"label": ago(minutes=pages)}}]}},
            )
            at = then(at, found)
            if not found.again:
                break
        assert pages == 10


class TestTrustpilot:
    source = sources.load("trustpilot")

    def test_pages_by_number(self) -> None:
        at = state(business_unit="u1", api_key="k")
        pull = asked(self.source, at)
        assert urlsplit(pull.url)[1:3] == ("api.trustpilot.com", "/v1/business-units/u1/reviews")
        assert pull.headers["apikey"] == "k"
        found = advanced(self.source, at, {"reviews": [{"createdAt": ago(hours=1)}] * 100})
        assert found.again
        assert query(asked(self.source, then(at, found)))["page"] == "2"
        assert not advanced(self.source, then(at, found), {"reviews": [{"createdAt": ago(hours=2)}]}).again


class TestImap:
    source = sources.load("imap")

    def mailbox(self, at: PullState) -> Mailbox:
        assert self.source.pull is not None
        found = self.source.pull(at)
        assert isinstance(found, Mailbox)
        return found

    def after(self, at: PullState, **headers: str) -> Advance:
        assert self.source.advance is not None
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.source.advance(at, Payload(b"", headers=named))

    def test_it_begins_a_week_ago_over_tls(self) -> None:
        found = self.mailbox(state(host="mail.example", user="care"))
        assert (found.host, found.port, found.tls, found.folder) == ("mail.example", 993, True, "INBOX")
        assert found.password == "s3cret"
        assert found.since == (NOW - timedelta(days=7)).date()

    def test_it_goes_on_after_the_last_mail(self) -> None:
        at = state(host="mail.example", user="care")
        found = self.after(at, x_uid="41", x_uidvalidity="7", x_more="1")
        assert found.again
        mailbox = self.mailbox(then(at, found))
        assert (mailbox.uidvalidity, mailbox.after_uid) == (7, 41)
        assert not self.after(then(at, found), x_uid="42", x_uidvalidity="7", x_more="0").again

    def test_a_rewind_to_a_moment(self) -> None:
        at = state({"since": "2026-01-02T00:00:00Z"}, host="mail.example", user="care")
        mailbox = self.mailbox(at)
        assert mailbox.after_uid == 0
        assert mailbox.since == datetime(2026, 1, 2, tzinfo=UTC).date()


PULLING = [name for name in sources.names() if sources.load(name).connects]


def test_these_sources_are_asked() -> None:
    assert {"appstore", "bluesky", "googleplay", "imap", "mastodon", "trustpilot", "youtube"} <= set(PULLING)


@pytest.mark.parametrize("name", PULLING)
def test_a_connection_that_only_receives_is_no_connector(name: str) -> None:
    connection = Connection(name, "acme", name, ("s3cret",))
    found = connectors_of(Connections({name: connection}), NOW)
    assert not found.by_key
    assert found.off[("acme", name)]


def test_a_connection_can_be_kept_from_being_asked() -> None:
    options = {"base_url": "https://social.example"}
    asked = Connection("a", "acme", "mastodon", ("token",), options=options)
    left = Connection("b", "acme", "mastodon", ("token",), options={**options, "pull": False})
    broken = Connection("c", "acme", "appstore", (), options={"app": "1", "key_id": "K", "private_key": "no key"})
    found = connectors_of(Connections({each.id: each for each in (asked, left, broken)}), NOW)
    assert list(found.by_key) == [("acme", "a")]
    assert set(found.off) == {("acme", "b"), ("acme", "c")}
    assert found.by_key[("acme", "a")].hosts == {"social.example"}


@pytest.mark.parametrize("name", [name for name in sources.names() if sources.load(name).announced])
def test_what_only_announces_pins_the_hosts_that_are_asked(name: str) -> None:
    assert sources.load(name).hosts


@pytest.mark.parametrize("body", [b"", b"{", b'{"items": [', b"[]", b'"x"', b"null", b"<html>busy</html>"])
@pytest.mark.parametrize("name", [each for each in PULLING if each not in ("bluesky", "imap", "mastodon")])
def test_what_is_no_page_moves_nothing(name: str, body: bytes) -> None:
    source = sources.load(name)
    assert source.advance is not None
    everything = state(
        app="1", countries=["es"], channel="UC1", business_unit="u", access_token="t", base_url="https://x.example"
    )
    with pytest.raises(PayloadError):
        source.advance(everything, Payload(body))


def test_keys_that_are_none() -> None:
    with pytest.raises(ValueError, match="can't be read"):
        jwt.signed({}, {}, "-----BEGIN NOTHING-----")
    with pytest.raises(ValueError, match="P-256"):
        jwt.signed({}, {}, pem(ec.generate_private_key(ec.SECP384R1())))


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def opened(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Header, claims, signature and what is signed."""
    parts = token.split(".")
    raw = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts]
    return json.loads(raw[0]), json.loads(raw[1]), raw[2], ".".join(parts[:2]).encode()
