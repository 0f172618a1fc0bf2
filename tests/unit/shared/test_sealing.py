"""What was sealed stays readable: these values are in databases, so none of them may ever come out otherwise."""

from uuid import UUID

import pytest

from ingest_service.deidentification.pseudonyms import pseudonym_keys
from ingest_service.deidentification.vault import Vault, waiting_room
from radrelay_shared.sealing import BadSeal, Seal, derive_key
from report_service.domain.patients import Patient, PatientVault

KEY, OTHER_KEY = bytes(range(32)), bytes(range(32, 64))


def test_keys_follow_from_realm_tenant_and_purpose() -> None:
    derived = derive_key(KEY, "deidentification", "north", "vault")
    assert derived.hex() == "a5d5aba4366e48881e03c2f5ff7c4ea2b1b5f41add2111f1bb45fc2e54fa30fe"
    others = {
        derive_key(OTHER_KEY, "deidentification", "north", "vault"),
        derive_key(KEY, "patients", "north", "vault"),
        derive_key(KEY, "deidentification", "south", "vault"),
        derive_key(KEY, "deidentification", "north", "uid"),
    }
    assert len(others - {derived}) == 4


def test_a_seal_opens_for_what_it_is_bound_to_only() -> None:
    seal = Seal(KEY)
    sealed = seal.seal(b"content", b"one")
    assert seal.open(sealed, b"one") == b"content"
    for other, given, bound_to in (
        (seal, sealed, b"two"),
        (seal, sealed, None),
        (Seal(OTHER_KEY), sealed, b"one"),
        (seal, sealed[:-1], b"one"),
        (seal, sealed[:5], b"one"),
    ):
        with pytest.raises(BadSeal):
            other.open(given, bound_to)


def test_what_ingest_sealed_before_is_opened() -> None:
    keys = pseudonym_keys(KEY, "north")
    assert keys.uid_key.hex() == "090dd8fa6ae9080a68e43078741aaa515c25864f1bfd65fa6adae46ab6585aa1"
    assert keys.patient_key.hex() == "f7e1129d31d698a6fb09d4190cc93b99ba39f9339eff4585ba101458c34682b5"
    sealed = bytes.fromhex("f52108594e64bfa6b970ad89acc4d415c4617baace43dd42cb0e86de35723b540e")
    assert Vault(KEY, "north").open("abc", sealed) == "12345"
    waiting = bytes.fromhex("9ac0c22186e50c83b732787dc3b47c46b17ca5dd360cd9ab508c0f04e3c13cb8841f58")
    assert waiting_room(KEY, "north").open(waiting) == b"content"


def test_what_the_report_service_sealed_before_is_opened_and_found() -> None:
    vault = PatientVault("north", [KEY], OTHER_KEY)
    sealed = bytes.fromhex(
        "23e94b07a6941bcf5040896233ea44473f6246fef93438ac9485b852002ad29876148ee73226b4a6830c77206ebc0dc7764f6bc958"
    )
    assert vault.open(UUID(int=7), sealed) == Patient("12345", "hospital")
    assert vault.hash_of("12345").hex() == "82f8a90c539378ddf0f7ab56fc82a72520ccf2f740ba61f2d0732eac9f675eed"
