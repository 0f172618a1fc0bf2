"""The statements that add what cases and failures count for to the rollups, or take it away again.

One statement, so that what is added, taken away and recounted is the same by construction.
"""

from typing import Final

from sqlalchemy import TextClause, text

# `{sign}` is + or -; `{image}` is a condition that names one image, or nothing. Each rollup is one of six or four of a
# case: of its owner and of the tenant (the empty owner), by hour, day and month.
_ADDING: Final = """
WITH counted AS (
    SELECT c.*, c.received_at AT TIME ZONE g.time_zone AS at
    FROM dashboard.cases c JOIN dashboard.generations g USING (tenant, generation)
    WHERE c.tenant = :tenant AND c.generation = :generation AND NOT c.erased {image_of_case}
), placed AS (
    SELECT counted.*, whose.owner, span.grain, date_trunc(span.grain, counted.at) AS start
    FROM counted CROSS JOIN LATERAL (VALUES (counted.owner_id), ('')) AS whose (owner)
    CROSS JOIN (VALUES ('hour'), ('day'), ('month')) AS span (grain)
), failed AS (
    SELECT f.*, f.received_at AT TIME ZONE g.time_zone AS at
    FROM dashboard.failures f JOIN dashboard.generations g USING (tenant, generation)
    WHERE f.tenant = :tenant AND f.generation = :generation {image_of_failure}
    AND NOT EXISTS (
        SELECT FROM dashboard.cases c
        WHERE c.tenant = f.tenant AND c.generation = f.generation AND c.image = f.image
        AND (NOT c.erased OR c.erased_at >= f.received_at)
    )
), added_cases AS (
    INSERT INTO dashboard.case_rollups AS r
        (tenant, generation, grain, owner_id, start, modality, model_digest, model_label, urgency, cases, positives,
         agreed, disagreed, unsure, positives_agreed, positives_disagreed, positives_unsure,
         confidence_sum)
    SELECT tenant, generation, grain, owner, start, modality, model_digest, model_label, urgency,
        {sign} count(*), {sign} count(*) FILTER (WHERE positive), {sign} count(*) FILTER (WHERE verdict = 'agree'),
        {sign} count(*) FILTER (WHERE verdict = 'disagree'), {sign} count(*) FILTER (WHERE verdict = 'unsure'),
        {sign} count(*) FILTER (WHERE positive AND verdict = 'agree'),
        {sign} count(*) FILTER (WHERE positive AND verdict = 'disagree'),
        {sign} count(*) FILTER (WHERE positive AND verdict = 'unsure'), {sign} sum(confidence)
    FROM placed GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ON CONFLICT (tenant, generation, grain, owner_id, start, modality, model_digest, model_label, urgency)
    DO UPDATE SET cases = r.cases + excluded.cases, positives = r.positives + excluded.positives,
        agreed = r.agreed + excluded.agreed, disagreed = r.disagreed + excluded.disagreed,
        unsure = r.unsure + excluded.unsure, positives_agreed = r.positives_agreed + excluded.positives_agreed,
        positives_disagreed = r.positives_disagreed + excluded.positives_disagreed,
        positives_unsure = r.positives_unsure + excluded.positives_unsure,
        confidence_sum = r.confidence_sum + excluded.confidence_sum
), added_probabilities AS (
    INSERT INTO dashboard.probability_rollups AS r
        (tenant, generation, grain, owner_id, start, bin, cases, positives)
    SELECT tenant, generation, grain, owner, start, probability_bin, {sign} count(*),
        {sign} count(*) FILTER (WHERE positive)
    FROM placed WHERE grain <> 'hour' GROUP BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (tenant, generation, grain, owner_id, start, bin)
    DO UPDATE SET cases = r.cases + excluded.cases, positives = r.positives + excluded.positives
), added_turnarounds AS (
    INSERT INTO dashboard.turnaround_rollups AS r
        (tenant, generation, grain, owner_id, start, priority, bin, cases)
    SELECT tenant, generation, grain, owner, start, coalesce(priority, 'unknown'), turnaround_bin, {sign} count(*)
    FROM placed WHERE grain <> 'hour' GROUP BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT (tenant, generation, grain, owner_id, start, priority, bin)
    DO UPDATE SET cases = r.cases + excluded.cases
)
INSERT INTO dashboard.failure_rollups AS r
    (tenant, generation, grain, owner_id, start, reason, failures)
SELECT tenant, generation, span.grain, whose.owner, date_trunc(span.grain, failed.at), reason, {sign} count(*)
FROM failed CROSS JOIN LATERAL (VALUES (failed.owner_id), ('')) AS whose (owner)
CROSS JOIN (VALUES ('day'), ('month')) AS span (grain)
GROUP BY 1, 2, 3, 4, 5, 6
ON CONFLICT (tenant, generation, grain, owner_id, start, reason)
DO UPDATE SET failures = r.failures + excluded.failures
"""


def _adding(sign: str, *, one_image: bool) -> TextClause:
    return text(
        _ADDING.format(
            sign=sign,
            image_of_case="AND c.image = :image" if one_image else "",
            image_of_failure="AND f.image = :image" if one_image else "",
        )
    )


ADD_IMAGE: Final = _adding("+", one_image=True)
"""Adds all that one image counts for; takes `tenant`, `generation` and `image`."""
TAKE_AWAY_IMAGE: Final = _adding("-", one_image=True)
"""Takes all away that one image counts for; takes `tenant`, `generation` and `image`."""
ADD_ALL: Final = _adding("+", one_image=False)
"""Adds all images of a generation, to rollups that are empty; takes `tenant` and `generation`."""
