from dataclasses import replace
from typing import Any

import pytest
from minio.commonconfig import DISABLED, Filter
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule

from radrelay_local.tenants.retention import (
    DEFAULT,
    OLD_VERSIONS,
    REJECTED,
    UPLOAD_PARTS,
    Retention,
    lifecycle,
    retention_in,
)

TIMES = Retention(rejected_days=3, old_version_days=5, unfinished_days=7)


def changed(rule_id: str, **changes: Any) -> LifecycleConfig:
    """The rules of `TIMES` with one that somebody changed."""
    rules = lifecycle(TIMES).rules
    return LifecycleConfig([replace(rule, **changes) if rule.rule_id == rule_id else rule for rule in rules])


def test_the_times_are_found_again_in_the_rules() -> None:
    assert retention_in(lifecycle(TIMES)) == TIMES
    assert retention_in(None) == Retention()


def test_rules_as_servers_give_them_back_are_the_same_rules() -> None:
    marks_not_set = Expiration(days=3, expired_object_delete_marker=False)
    assert retention_in(changed(REJECTED, expiration=marks_not_set)) == TIMES
    assert retention_in(changed(OLD_VERSIONS, rule_filter=None)) == TIMES


@pytest.mark.parametrize(
    "change",
    [{"status": DISABLED}, {"rule_filter": Filter(prefix="other/")}, {"noncurrent_version_expiration": None}],
    ids=["off", "for other objects", "without old versions"],
)
def test_a_rule_that_was_changed_otherwise_than_in_its_time_counts_as_none(change: dict[str, Any]) -> None:
    assert retention_in(changed(REJECTED, **change)) == replace(TIMES, rejected_days=None)


def test_uploads_count_as_unlimited_without_the_rule_for_their_parts() -> None:
    rules = [rule for rule in lifecycle(TIMES).rules if rule.rule_id != UPLOAD_PARTS]
    assert retention_in(LifecycleConfig(rules)) == replace(TIMES, unfinished_days=None)


def test_times_that_are_not_given_are_taken_from_others() -> None:
    assert Retention(rejected_days=20).over(TIMES) == replace(TIMES, rejected_days=20)
    assert Retention().over(DEFAULT) == DEFAULT


def test_rules_of_others_stay_and_ours_are_replaced() -> None:
    theirs = Rule("Enabled", rule_id="theirs", rule_filter=Filter(prefix="tmp/"), expiration=Expiration(days=1))
    present = LifecycleConfig([theirs, *lifecycle(TIMES).rules])
    rules = lifecycle(DEFAULT, beside=present).rules
    assert theirs in rules
    assert retention_in(LifecycleConfig(rules)) == DEFAULT
    assert len(rules) == len(present.rules)
