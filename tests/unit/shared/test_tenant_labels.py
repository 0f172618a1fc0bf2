"""Metrics name few tenants, and always the same."""

import pytest
from pydantic import ValidationError

from radrelay_shared.observability import ObservabilitySettings


def test_tenants_that_are_set_are_named_and_all_others_are_one() -> None:
    settings = ObservabilitySettings(tenants=("north", "south"))
    assert [settings.tenant_label(tenant) for tenant in ("north", "south", "east", "west")] == [
        *("north", "south"),
        *("other", "other"),
    ]


def test_more_tenants_than_a_metric_should_have_are_refused() -> None:
    with pytest.raises(ValidationError):
        ObservabilitySettings(tenants=tuple(f"t-{number}" for number in range(51)))
