"""A report of the whole product, computed again by the command."""

import asyncio
import subprocess
import sys
from pathlib import Path

from radrelay_local.stack import DEMONSTRATION_BUNDLE
from support.hospital import finished, person, send, write_heads
from support.stack import RunningStack
from support.tenants import new_tenant


async def replay(stack: RunningStack, report_id: object, tenant: str) -> subprocess.CompletedProcess[str]:
    command = [
        str(Path(sys.executable).with_name("radrelay-bundle")),
        *("replay", str(report_id), "--bundle", str(DEMONSTRATION_BUNDLE)),
        *("--reports", f"{stack.base_url}/api/reports"),
        *("--token", stack.issue_token(tenant, "dr-ada", ["clinician"])),
    ]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=150, check=False)


async def test_a_report_is_computed_again_bit_for_bit_and_only_for_those_who_may_read_it(
    stack: RunningStack, tmp_path: Path
) -> None:
    tenant = new_tenant()
    async with person(stack, tenant, "dr-ada") as ada:
        batch = await finished(ada, await send(ada, write_heads(tmp_path, 1, first_seed=700), root=tmp_path))
        (report,) = await ada.reports(batch_id=batch.batch_id)
    again = await replay(stack, report.report_id, tenant)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.endswith("identical, bit for bit\n")
    refused = await replay(stack, report.report_id, new_tenant())
    assert refused.returncode == 1
    assert "answers 404" in refused.stderr
