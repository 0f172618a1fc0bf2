"""How long a tenant's bucket keeps what is not wanted any more, as S3 lifecycle rules.

Source: Amazon S3 User Guide, "Lifecycle configuration elements".
"""

from dataclasses import dataclass, fields
from typing import Final, Self

from minio.commonconfig import ENABLED, Filter
from minio.lifecycleconfig import (
    AbortIncompleteMultipartUpload,
    Expiration,
    LifecycleConfig,
    NoncurrentVersionExpiration,
    Rule,
)

REJECTED: Final = "radrelay-rejected"
OLD_VERSIONS: Final = "radrelay-old-versions"
UNFINISHED: Final = "radrelay-unfinished-uploads"
UPLOAD_PARTS: Final = "radrelay-upload-parts"
_OURS: Final = frozenset({REJECTED, OLD_VERSIONS, UNFINISHED, UPLOAD_PARTS})
_REJECTED_FILES: Final = "rejected/"
_PARTS: Final = "uploads/"
"""Parts of resumable uploads: each byte of an image that came so would be kept twice."""
_PASSING_DAYS: Final = 1
"""What was meant to pass does not lie about for long after it was deleted."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Times in whole days, as S3 counts them; None stands for one that is not set, or not as it should be."""

    rejected_days: int | None = None
    """Rejected files go, at the latest. The ingest service removes them after its retention, 7 days unless set; a
    margin of a day is left for its sweeper, so that it finds what it removes."""
    old_version_days: int | None = None
    """What was deleted or replaced can be had back for so long."""
    unfinished_days: int | None = None
    """Multipart uploads that were never completed go."""

    def over(self, other: Self) -> Self:
        """These times, and the other's where there are none."""
        chosen = {each.name: getattr(self, each.name) or getattr(other, each.name) for each in fields(self)}
        return type(self)(**chosen)


UNCHANGED: Final = Retention()
DEFAULT: Final = Retention(rejected_days=8, old_version_days=30, unfinished_days=1)


def lifecycle(retention: Retention, *, beside: LifecycleConfig | None = None) -> LifecycleConfig:
    """The rules, and those of `beside` that are none of ours; `retention` has all its times."""
    others = [rule for rule in beside.rules if rule.rule_id not in _OURS] if beside else []
    whole, rejected = Filter(prefix=""), Filter(prefix=_REJECTED_FILES)
    return LifecycleConfig(
        [
            Rule(
                ENABLED,
                rule_id=REJECTED,
                rule_filter=rejected,
                expiration=Expiration(days=retention.rejected_days),
                noncurrent_version_expiration=NoncurrentVersionExpiration(_PASSING_DAYS),
            ),
            Rule(
                ENABLED,
                rule_id=OLD_VERSIONS,
                rule_filter=whole,
                # The marks that deletions leave go when nothing is behind them.
                expiration=Expiration(expired_object_delete_marker=True),
                noncurrent_version_expiration=NoncurrentVersionExpiration(retention.old_version_days),
            ),
            Rule(
                ENABLED,
                rule_id=UNFINISHED,
                rule_filter=whole,
                abort_incomplete_multipart_upload=AbortIncompleteMultipartUpload(retention.unfinished_days),
            ),
            Rule(
                ENABLED,
                rule_id=UPLOAD_PARTS,
                rule_filter=Filter(prefix=_PARTS),
                noncurrent_version_expiration=NoncurrentVersionExpiration(_PASSING_DAYS),
            ),
            *others,
        ]
    )


def retention_in(config: LifecycleConfig | None) -> Retention:
    """The times that a bucket's rules stand for. A rule that was changed otherwise than in its time counts as none."""
    rules = {rule.rule_id: rule for rule in config.rules} if config else {}
    found = Retention(
        rejected_days=_days(rules.get(REJECTED)),
        old_version_days=_old_days(rules.get(OLD_VERSIONS)),
        unfinished_days=_unfinished_days(rules.get(UNFINISHED)),
    )
    wanted = {rule.rule_id: _content(rule) for rule in lifecycle(found.over(DEFAULT)).rules}
    as_wanted = {name for name, rule in rules.items() if wanted.get(name or "") == _content(rule)}
    return Retention(
        found.rejected_days if REJECTED in as_wanted else None,
        found.old_version_days if OLD_VERSIONS in as_wanted else None,
        found.unfinished_days if {UNFINISHED, UPLOAD_PARTS} <= as_wanted else None,
    )


def _days(rule: Rule | None) -> int | None:
    return rule.expiration.days if rule and rule.expiration else None


def _old_days(rule: Rule | None) -> int | None:
    return rule.noncurrent_version_expiration.noncurrent_days if rule and rule.noncurrent_version_expiration else None


def _unfinished_days(rule: Rule | None) -> int | None:
    aborting = rule.abort_incomplete_multipart_upload if rule else None
    return aborting.days_after_initiation if aborting else None


def _content(rule: Rule) -> tuple[object, ...]:
    """What a rule does. Servers give back an empty prefix as none, and a mark that is not set as false."""
    expiration = rule.expiration
    return (
        rule.status,
        (rule.rule_filter.prefix if rule.rule_filter else None) or "",
        _days(rule),
        bool(expiration and expiration.expired_object_delete_marker),
        _old_days(rule),
        _unfinished_days(rule),
    )
