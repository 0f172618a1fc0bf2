import re

from pydicom.datadict import dictionary_has_tag, keyword_for_tag

from ingest_service.deidentification.table import FATES, Fate, rows


def test_each_row_names_an_attribute_as_the_dictionary_does() -> None:
    known = [(tag, keyword) for tag, keyword, _ in rows() if dictionary_has_tag(tag)]
    assert len(known) > 620
    assert [keyword for _, keyword in known] == [keyword_for_tag(tag) for tag, _ in known]


def test_attributes_newer_than_the_dictionary_are_all_removed() -> None:
    assert {FATES[tag] for tag, _, _ in rows() if not dictionary_has_tag(tag)} == {Fate.REMOVE}


def test_rows_are_in_order_without_repeats_and_have_a_keyword_and_a_code_of_the_standard() -> None:
    tags = [tag for tag, _, _ in rows()]
    assert tags == sorted(set(tags))
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9]*", keyword) for _, keyword, _ in rows())
    assert {action for _, _, action in rows()} == {"X", "Z", "D", "U", "X/Z", "Z/D", "X/D", "X/Z/D", "X/Z/U*"}
