"""Where may be sent to, how often it is tried, and what is sent with an event."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import uuid4

import pytest
from pydantic import SecretStr, ValidationError
from standardwebhooks.webhooks import Webhook

from radrelay_shared.events import ErasureRequested
from radrelay_shared.sealing import BadSeal, decode_key
from report_service.adapters.webhooks import retry_after_of
from report_service.domain.destinations import Attempt, Patience, Topic, in_order, topic_of
from report_service.domain.places import Allowed, NoPlace, Place, check_place, is_forbidden
from report_service.domain.webhooks import SecretVault, headers_of, new_secret
from report_service.settings import DestinationSettings
from support.events import report_created, report_erased
from support.patients import new_key

PATIENCE = Patience(timedelta(seconds=10))


@pytest.mark.parametrize(
    ("allowed", "url", "taken"),
    [
        ("https://ris.example.org", "https://ris.example.org/x?y=1", True),
        ("https://ris.example.org", "https://RIS.example.org:443/", True),
        ("https://ris.example.org", "https://ris.example.org:8443/", False),
        ("https://ris.example.org", "http://ris.example.org:443/", False),
        ("https://ris.example.org", "https://sub.ris.example.org/", False),
        ("https://ris.example.org:8443", "https://ris.example.org:8443/", True),
        ("http://127.0.0.1:*", "http://127.0.0.1:51234/", True),
        ("http://127.0.0.1:*", "http://127.0.0.2:51234/", False),
        ("http://[::1]:*", "http://[::1]:80/", True),
    ],
)
def test_a_host_is_allowed_with_its_scheme_and_port(allowed: str, url: str, *, taken: bool) -> None:
    assert Allowed.of(allowed).takes(Place.of(url)) is taken
    assert str(Allowed.of(allowed)) == allowed
    if not taken:
        with pytest.raises(NoPlace, match="destination_host_not_allowed"):
            check_place(url, (Allowed.of(allowed),))


@pytest.mark.parametrize("text", ["ris.example.org", "https://ris.example.org/", "https://*.example.org", "https://*"])
def test_what_is_no_host_is_refused_where_it_is_set(text: str) -> None:
    with pytest.raises(ValidationError):
        DestinationSettings(hosts=(text,))


def test_a_key_that_is_none_is_refused_where_it_is_set() -> None:
    with pytest.raises(ValidationError, match="not 32 bytes"):
        DestinationSettings(sealing=(SecretStr("c2hvcnQ="),))


@pytest.mark.parametrize(
    ("address", "forbidden"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("169.254.169.254", True),
        ("fe80::1", True),
        ("0.0.0.0", True),  # an address to refuse, none to bind
        ("224.0.0.1", True),
        ("10.1.2.3", False),
        ("192.0.2.7", False),
        ("2001:db8::7", False),
    ],
)
def test_a_name_may_lead_into_the_hospital_and_not_to_the_machine_itself(address: str, *, forbidden: bool) -> None:
    assert is_forbidden(address) is forbidden


def test_pauses_double_up_to_an_hour_and_differ() -> None:
    for attempts, most_s in ((1, 10), (2, 20), (5, 160), (12, 3600), (1000, 3600)):
        pauses = {PATIENCE.pause_after(attempts, None) for _ in range(20)}
        assert all(timedelta(seconds=most_s / 2) <= each <= timedelta(seconds=most_s) for each in pauses)
        assert len(pauses) > 1
    assert PATIENCE.rest_after(1, None) <= timedelta(seconds=1)
    assert PATIENCE.rest_after(1000, None) <= timedelta(minutes=5)


def test_what_a_destination_asks_for_is_granted_up_to_a_day() -> None:
    assert PATIENCE.pause_after(1, timedelta(hours=2)) == timedelta(hours=2)
    assert PATIENCE.rest_after(1, timedelta(hours=2)) == timedelta(hours=2)
    assert PATIENCE.pause_after(1, timedelta(days=400)) == timedelta(days=1)
    assert PATIENCE.pause_after(1, timedelta(seconds=-5)) >= timedelta(seconds=5)


@pytest.mark.parametrize("value", ["", "soon", "-3", "1.5", "Fri, 99 Foo 2026 00:00:00 GMT"])
def test_a_retry_after_that_says_nothing_is_none(value: str) -> None:
    assert retry_after_of([(b"Retry-After", value.encode())]) is None


def test_a_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after_of([]) is None
    assert retry_after_of([(b"retry-after", b" 120 ")]) == timedelta(seconds=120)
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    asked = retry_after_of([(b"Retry-After", date.encode())])
    assert asked is not None
    assert timedelta(minutes=59) < asked <= timedelta(hours=1)


def test_only_2xx_is_success_and_410_is_gone() -> None:
    assert [status for status in range(100, 600) if Attempt(status).succeeded] == list(range(200, 300))
    assert not Attempt(None, "timeout").succeeded
    assert [status for status in range(100, 600) if Attempt(status).is_gone] == [410]


def test_an_event_is_signed_so_that_the_specifications_own_library_verifies_it() -> None:
    secret, at, body = new_secret(), datetime.now(UTC), '{"a":"ä"}'.encode()
    headers = headers_of("an-id", body, secret, at)
    assert Webhook(secret).verify(body, headers) == {"a": "ä"}
    assert headers["webhook-signature"] == Webhook(secret).sign("an-id", at, body.decode())
    assert re.fullmatch(r"\d{10}", headers["webhook-timestamp"])


def test_a_sealed_secret_opens_for_its_destination_under_any_key_that_is_given() -> None:
    old, new = decode_key(new_key()), decode_key(new_key())
    one, secret = uuid4(), new_secret()
    sealed = SecretVault([old]).seal("acme", one, secret)
    assert SecretVault([new, old]).open("acme", one, sealed) == secret
    for vault, tenant, destination in (
        (SecretVault([new]), "acme", one),
        (SecretVault([old]), "other", one),
        (SecretVault([old]), "acme", uuid4()),
        (SecretVault([]), "acme", one),
    ):
        with pytest.raises(BadSeal):
            vault.open(tenant, destination, sealed)


def test_topics_are_those_of_reports_that_others_count() -> None:
    asked = ErasureRequested(
        erasure_id=uuid4(), study_instance_uid="2.25.1", instance_id=None, requested_at=datetime.now(UTC)
    )
    assert topic_of(report_created().data) is Topic.CREATED
    assert topic_of(report_erased(report_created()).data) is Topic.ERASED
    assert topic_of(asked) is None
    assert in_order([Topic.ERASED, Topic.CREATED, Topic.ERASED]) == (Topic.CREATED, Topic.ERASED)
