import base64
import os
from uuid import UUID

import pytest
from pydantic import SecretStr, ValidationError

from radrelay_shared.sealing import KEY_BYTES
from report_service.domain.patients import Patient, PatientVault, PatientVaults, Unreadable
from report_service.settings import PatientKeys

OLD, NEW, SEARCH = (os.urandom(KEY_BYTES) for _ in range(3))
STUDY, OTHER_STUDY = UUID(int=1), UUID(int=2)
PATIENT = Patient("PAT-7301", "North")


def vault(*keys: bytes, tenant: str = "acme", search: bytes = SEARCH) -> PatientVault:
    return PatientVault(tenant, keys or (OLD,), search)


def test_a_sealed_patient_is_opened_for_its_study_and_tenant_only() -> None:
    sealed = vault().seal(STUDY, PATIENT)
    assert vault().open(STUDY, sealed) == PATIENT
    assert b"7301" not in sealed
    for other, study in ((vault(tenant="globex"), STUDY), (vault(), OTHER_STUDY), (vault(NEW), STUDY)):
        with pytest.raises(Unreadable):
            other.open(study, sealed)


@pytest.mark.parametrize("damage", [lambda sealed: sealed[:-1], lambda sealed: sealed[:8], lambda _: b"", bytes.upper])
def test_a_changed_seal_is_not_opened(damage: object) -> None:
    assert callable(damage)
    sealed = vault().seal(STUDY, PATIENT)
    changed = damage(sealed) if damage is not bytes.upper else sealed[:-1] + bytes([sealed[-1] ^ 1])
    with pytest.raises(Unreadable):
        vault().open(STUDY, changed)


def test_the_same_patient_is_sealed_differently_each_time() -> None:
    assert vault().seal(STUDY, PATIENT) != vault().seal(STUDY, PATIENT)


def test_the_first_key_seals_and_every_key_opens() -> None:
    before = vault(OLD).seal(STUDY, PATIENT)
    rotating = vault(NEW, OLD)
    after = rotating.seal(STUDY, rotating.open(STUDY, before))
    assert (rotating.is_current(before), rotating.is_current(after)) == (False, True)
    assert vault(NEW).open(STUDY, after) == PATIENT


def test_a_patient_is_found_by_the_identifier_without_padding_and_by_the_tenants_key_only() -> None:
    found = vault().hash_of("PAT-7301")
    assert vault(NEW).hash_of(" PAT-7301 ") == found
    assert vault().hash_of("A\u030a") == vault().hash_of("\u00c5")
    assert found not in {
        vault().hash_of("PAT-7302"),
        vault().hash_of("pat-7301"),
        vault(tenant="globex").hash_of("PAT-7301"),
        vault(search=NEW).hash_of("PAT-7301"),
    }


def test_a_patient_shows_in_no_representation() -> None:
    assert "7301" not in repr(PATIENT)
    assert "North" not in repr(PATIENT)


def test_what_no_key_opens_is_shown_as_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    sealed = vault(OLD).seal(STUDY, PATIENT)
    assert PatientVaults({"acme": vault(OLD)}).open("acme", STUDY, sealed) == PATIENT
    assert PatientVaults({"acme": vault(NEW)}).open("acme", STUDY, sealed) is None
    assert "a patient cannot be opened" in caplog.text
    assert PatientVaults({}).open("acme", STUDY, sealed) is None


def key(content: bytes) -> SecretStr:
    return SecretStr(base64.b64encode(content).decode())


@pytest.mark.parametrize(
    ("sealing", "search"),
    [
        ([], key(SEARCH)),
        ([key(OLD[:31])], key(SEARCH)),
        ([SecretStr("not base64")], key(SEARCH)),
        ([key(OLD)], SecretStr("")),
        ([key(OLD), key(OLD)], key(SEARCH)),
        ([key(SEARCH)], key(SEARCH)),
    ],
)
def test_keys_that_are_none_or_the_same_are_refused(sealing: list[SecretStr], search: SecretStr) -> None:
    with pytest.raises(ValidationError):
        PatientKeys(sealing=sealing, search=search)
