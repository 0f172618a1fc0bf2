import json

import pytest
from pydantic import ValidationError

from ingest_service.dimse.connection import CALLED_UNKNOWN, CALLING_UNKNOWN, Rejection, admit
from ingest_service.dimse.settings import DimseSettings, Peer, TlsSettings
from ingest_service.settings import IngestSettings
from radrelay_shared.events import Urgency

CT = {"calling_ae": "CT-1", "tenant": "north", "owner_id": "ct"}


def settings(*peers: dict[str, str], **values: float) -> DimseSettings:
    return DimseSettings.model_validate({"peers": peers} | values)


def test_a_peer_is_known_by_both_titles() -> None:
    chosen = settings(
        CT, CT | {"called_ae": "STAT", "priority": "stat"}, CT | {"calling_ae": "MR-1", "tenant": "south"}
    )
    known = {
        titles: admit(chosen, *titles) for titles in (("CT-1", "RADRELAY"), ("CT-1", "STAT"), ("MR-1", "RADRELAY"))
    }
    assert [(peer.tenant, peer.priority) for peer in known.values() if isinstance(peer, Peer)] == [
        ("north", Urgency.ROUTINE),
        ("north", Urgency.STAT),
        ("south", Urgency.ROUTINE),
    ]


@pytest.mark.parametrize(
    ("calling", "called", "rejection"),
    [("US-1", "RADRELAY", CALLING_UNKNOWN), ("ct-1", "RADRELAY", CALLING_UNKNOWN), ("CT-1", "OTHER", CALLED_UNKNOWN)],
)
def test_other_titles_are_told_which_one_is_unknown(calling: str, called: str, rejection: Rejection) -> None:
    assert admit(settings(CT), calling, called) is rejection


def test_without_peers_nobody_is_known() -> None:
    assert admit(DimseSettings(), "CT-1", "RADRELAY") is CALLING_UNKNOWN


@pytest.mark.parametrize("title", ["", "   ", "A" * 17, "A\\B", "A\nB", "Ä"])
def test_a_title_that_dicom_does_not_allow_is_refused(title: str) -> None:
    with pytest.raises(ValidationError, match="calling_ae"):
        settings(CT | {"calling_ae": title})


def test_spaces_around_a_title_mean_nothing() -> None:
    assert settings(CT | {"calling_ae": " CT 1 "}).peers[0].calling_ae == "CT 1"


def test_two_peers_with_the_same_titles_are_refused() -> None:
    with pytest.raises(ValidationError, match="same calling and called AE title"):
        settings(CT, CT | {"called_ae": "RADRELAY", "tenant": "south"})


def test_a_tenant_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValidationError, match="tenant"):
        settings(CT | {"tenant": "North Hospital"})


def test_an_answer_must_come_before_the_connection_counts_as_silent() -> None:
    with pytest.raises(ValidationError, match="dimse_timeout_s must be shorter"):
        settings(dimse_timeout_s=60, network_timeout_s=60)


def test_the_environment_says_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "OBJECTS": json.dumps({"endpoint": "s3:9000", "access_key": "a", "secret_key": "s"}),
        "DATABASE__APP_URL": "postgresql+asyncpg://a@b/c",
        "AUTH": json.dumps({"issuer": "i", "jwks_url": "j"}),
        "DIMSE__PEERS": json.dumps([CT]),
        "DIMSE__AE_TITLE": "HERE",
        "DIMSE__TLS__CERTIFICATE": "/tls/tls.crt",
        "DIMSE__TLS__KEY": "/tls/tls.key",
    }
    for key, value in values.items():
        monkeypatch.setenv(f"RADRELAY_INGEST_{key}", value)
    dimse = IngestSettings().dimse
    assert dimse.peers_by_titles().keys() == {("CT-1", "HERE")}
    assert isinstance(dimse.tls, TlsSettings)
