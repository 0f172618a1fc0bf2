"""What bounds the record of refusals."""

from collections import Counter
from datetime import UTC, datetime

from radrelay_shared.audit import AuditFact
from radrelay_shared.audit.refusals import PER_CALLER, PER_TENANT, WITHHELD, RefusalLog


class Kept:
    """A log in memory."""

    def __init__(self) -> None:
        self.facts: list[AuditFact] = []

    async def record(self, fact: AuditFact) -> None:
        self.facts.append(fact)


def refusal(tenant: str, actor: str) -> AuditFact:
    return AuditFact(tenant, actor, "refused GET /v1/things/{thing_id}", datetime.now(UTC), reason="thing_not_found")


async def test_a_caller_fills_no_more_than_its_bound_and_one_record_says_that_there_was_more() -> None:
    log = Kept()
    refusals = RefusalLog(log, "test")
    for _ in range(PER_CALLER.amount * 3):
        await refusals.record(refusal("north", "eve"))
    await refusals.record(refusal("north", "ada"))
    await refusals.record(refusal("south", "eve"))
    *first, notice, ada, eve = log.facts
    assert len(first) == PER_CALLER.amount
    assert WITHHELD not in {fact.action for fact in first}
    assert (notice.tenant, notice.actor, notice.action, notice.reason) == (
        "north",
        "eve",
        WITHHELD,
        "too_many_refusals",
    )
    assert [(fact.tenant, fact.actor) for fact in (ada, eve)] == [("north", "ada"), ("south", "eve")]


async def test_many_callers_of_a_tenant_fill_no_more_than_the_tenants_bound() -> None:
    log = Kept()
    refusals = RefusalLog(log, "test")
    for number in range(2 * PER_TENANT.amount // PER_CALLER.amount):
        for _ in range(PER_CALLER.amount + 2):
            await refusals.record(refusal("north", f"eve-{number}"))
    await refusals.record(refusal("south", "ada"))
    of_tenant = Counter(fact.tenant for fact in log.facts)
    assert of_tenant == {"north": PER_TENANT.amount + 1, "south": 1}
    assert log.facts[PER_TENANT.amount].action == WITHHELD
