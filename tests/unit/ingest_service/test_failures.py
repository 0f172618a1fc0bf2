import re
from pathlib import Path

from ingest_service.domain.failures import FAILURE_REASONS, FailureReason
from ingest_service.domain.reasons import RejectReason

GUIDE = Path(__file__).parents[3] / "docs" / "intake.md"


def test_each_reason_of_refusal_has_a_failure_reason() -> None:
    assert FAILURE_REASONS.keys() == set(RejectReason)


def test_each_failure_reason_is_used_and_none_is_a_warning_or_success() -> None:
    assert set(FAILURE_REASONS.values()) == set(FailureReason)
    assert all(code & 0xF000 in {0x0000, 0xA000, 0xC000} and code for code in FailureReason)


def test_the_guide_lists_each_failure_reason_with_its_reasons_of_refusal() -> None:
    rows = re.findall(r"^\| `([0-9A-F]{4})` \((\d+)\) \|[^|]*\| ([^|]*) \|$", GUIDE.read_text(), re.MULTILINE)
    listed = {int(code, 16): set(re.findall(r"`(\w+)`", reasons)) for code, _, reasons in rows}
    assert all(int(code, 16) == int(decimal) for code, decimal, _ in rows)
    assert listed == {
        code: {reason.value for reason, its_code in FAILURE_REASONS.items() if its_code is code}
        for code in FailureReason
    }


def test_the_guide_lists_each_reason_of_refusal_with_its_sentence() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|$", GUIDE.read_text(), re.MULTILINE)
    assert {code: sentence for code, sentence in rows if code in set(RejectReason)} == {
        reason.value: reason.sentence for reason in RejectReason
    }
