import re

import pytest

from ingest_service.deidentification.pseudonyms import pseudonym_keys
from ingest_service.deidentification.vault import Unreadable, Vault

KEY, OTHER_KEY = b"k" * 32, b"K" * 32


def test_uids_map_to_other_valid_ones_that_depend_on_key_and_tenant_alone() -> None:
    mapped = pseudonym_keys(KEY, "north").map_uid("1.2.3")
    assert re.fullmatch(r"2\.25\.[1-9][0-9]{1,38}", mapped)
    assert pseudonym_keys(KEY, "north").map_uid("1.2.3") == mapped
    others = [pseudonym_keys(KEY, "south"), pseudonym_keys(OTHER_KEY, "north")]
    assert len({mapped, *(keys.map_uid("1.2.3") for keys in others), others[0].map_uid("1.2.4")}) == 4


def test_registered_uids_and_empty_ones_stay() -> None:
    keys = pseudonym_keys(KEY, "north")
    assert keys.map_uid("1.2.840.10008.1.4.1.1") == "1.2.840.10008.1.4.1.1"
    assert keys.map_uid("") == ""


@pytest.mark.parametrize("uid", ["1.2.3\n", "\t1.2.3", "DOE^JANE "])
def test_white_space_makes_no_uid_a_registered_one(uid: str) -> None:
    assert pseudonym_keys(KEY, "north").map_uid(uid).startswith("2.25.")


def test_a_patient_has_one_pseudonym_in_a_tenant_and_another_in_every_other() -> None:
    north = pseudonym_keys(KEY, "north")
    assert re.fullmatch(r"[0-9a-f]{32}", north.pseudonym_of("P1"))
    assert north.pseudonym_of("P1") == pseudonym_keys(KEY, "north").pseudonym_of("P1")
    assert (
        len({north.pseudonym_of("P1"), north.pseudonym_of("P2"), pseudonym_keys(KEY, "south").pseudonym_of("P1")}) == 3
    )
    assert north.pseudonym_of("") == ""


def test_keys_do_not_show_in_their_representation() -> None:
    assert repr(pseudonym_keys(KEY, "north")) == "PseudonymKeys()"


def test_the_vault_opens_what_it_sealed_and_never_seals_twice_alike() -> None:
    vault = Vault(KEY, "north")
    sealed = vault.seal("abc", "Müller 17")
    assert b"ller" not in sealed
    assert vault.seal("abc", "Müller 17") != sealed
    assert Vault(KEY, "north").open("abc", sealed) == "Müller 17"


@pytest.mark.parametrize(
    ("vault", "pseudonym", "cut"),
    [
        (Vault(OTHER_KEY, "north"), "abc", slice(None)),
        (Vault(KEY, "south"), "abc", slice(None)),
        (Vault(KEY, "north"), "abd", slice(None)),
        (Vault(KEY, "north"), "abc", slice(None, -1)),
        (Vault(KEY, "north"), "abc", slice(5)),
    ],
    ids=["other key", "other tenant", "other pseudonym", "cut", "cut within the nonce"],
)
def test_the_vault_stays_shut_for_all_else(vault: Vault, pseudonym: str, cut: slice) -> None:
    sealed = Vault(KEY, "north").seal("abc", "P1")
    with pytest.raises(Unreadable):
        vault.open(pseudonym, sealed[cut])
