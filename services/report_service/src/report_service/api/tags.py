"""The entity tag of a report and its review: what of a report changes is its review alone.

Source: RFC 9110, sections 8.8.3 and 13.1.1.
"""

from uuid import UUID


def tag_of(report_id: UUID, review_version: int) -> str:
    """The `ETag` of a report whose review stands at that version, 0 where it has none."""
    return f'"{report_id.hex}-{review_version}"'


def is_current(if_match: str, report_id: UUID, review_version: int) -> bool:
    """Whether an `If-Match` field names this state; by the strong comparison, so that no weak tag does.

    `*` asks only that there be something: it holds where there is a review.
    """
    if if_match.strip() == "*":
        return review_version > 0
    return tag_of(report_id, review_version) in (each.strip() for each in if_match.split(","))
