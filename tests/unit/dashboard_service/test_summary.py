from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard_service.domain.summary import Cell, DayCount, ModelCount, SummaryScope, summarise
from dashboard_service.handlers import get_summary
from radrelay_shared.auth import Principal, Role
from radrelay_shared.events import Urgency
from radrelay_shared.http import Forbidden

DAY = date(2026, 3, 14)


def cell(*, day: date = DAY, urgency: Urgency = Urgency.ROUTINE, label: str = "untrained", **counts: Any) -> Cell:
    usual: dict[str, Any] = {"cases": 1, "positives": 0, "confidence_sum": Decimal("0.9")}
    return Cell(day=day, urgency=urgency, model_digest="sha256:5e", model_label=label, **(usual | counts))


def test_without_a_case_there_is_no_rate_and_no_average() -> None:
    summary = summarise(SummaryScope.OWN, [], failed_cases=3)
    assert (summary.total_cases, summary.positive_cases, summary.failed_cases) == (0, 0, 3)
    assert (summary.positivity_rate, summary.average_confidence) == (None, None)
    assert summary.by_urgency == {Urgency.STAT: 0, Urgency.URGENT: 0, Urgency.ROUTINE: 0}
    assert (summary.by_day, summary.by_model) == ((), ())


def test_cells_add_up() -> None:
    later = date(2026, 3, 16)
    cells = [
        cell(day=later, urgency=Urgency.STAT, cases=2, positives=2, confidence_sum=Decimal("1.7")),
        cell(cases=1, positives=0, confidence_sum=Decimal("0.6")),
        cell(urgency=Urgency.STAT, cases=1, positives=1, confidence_sum=Decimal("0.9"), label="trained"),
    ]
    summary = summarise(SummaryScope.TENANT, cells, failed_cases=0)
    assert (summary.total_cases, summary.positive_cases, summary.positivity_rate) == (4, 3, 0.75)
    assert summary.average_confidence == pytest.approx(0.8)
    assert summary.by_urgency == {Urgency.STAT: 3, Urgency.URGENT: 0, Urgency.ROUTINE: 1}
    assert summary.by_day == (DayCount(DAY, 2, 1), DayCount(later, 2, 2))
    assert summary.by_model == (ModelCount("sha256:5e", "trained", 1), ModelCount("sha256:5e", "untrained", 3))


CELLS = st.lists(
    st.builds(
        cell,
        day=st.dates(date(2026, 1, 1), date(2026, 1, 4)),
        urgency=st.sampled_from(Urgency),
        confidence_sum=st.decimals(0, 1, places=9),
    ),
    max_size=12,
)


@given(CELLS, st.randoms(use_true_random=False))
def test_the_order_of_cells_does_not_matter(cells: list[Cell], random: Any) -> None:
    shuffled = cells.copy()
    random.shuffle(shuffled)
    assert summarise(SummaryScope.OWN, shuffled, failed_cases=0) == summarise(SummaryScope.OWN, cells, failed_cases=0)


class _Untouched:
    """A store that a refused request must not reach."""

    def transaction(self, scope: Any) -> Any:
        raise AssertionError(f"transaction under {scope}")


@pytest.mark.parametrize("roles", [{Role.CLINICIAN}, {Role.SERVICE}, {Role.CLINICIAN, Role.SERVICE}])
async def test_only_an_administrator_may_ask_for_the_tenant(roles: set[Role]) -> None:
    principal = Principal("acme", "dr-a", frozenset(roles))
    with pytest.raises(Forbidden) as caught:
        await get_summary(SummaryScope.TENANT, principal=principal, counts=_Untouched())
    assert caught.value.code == "tenant_scope_forbidden"
