"""`radrelay upload` and `radrelay watch` on a stack that runs, over a network that may fail."""

import asyncio
import json
import os
import signal
import sysconfig
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from radrelay_local.cli import app
from radrelay_local.client.answers import BatchState
from support.faulty_proxy import Fault, faulty_proxy
from support.hospital import head, person, write_heads, write_zip
from support.stack import RunningStack
from support.tenants import new_tenant

PROGRAM = Path(sysconfig.get_path("scripts")) / "radrelay"


@dataclass(frozen=True, slots=True)
class Result:
    """What a command ended with."""

    status: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.stdout)
        return content


async def start(*arguments: str | Path, token: str | None = None) -> Process:
    environment = os.environ | ({"RADRELAY_TOKEN": token} if token else {})
    return await asyncio.create_subprocess_exec(PROGRAM, *arguments, stdout=PIPE, stderr=PIPE, env=environment)


async def ended(process: Process, shown: str = "") -> Result:
    async with asyncio.timeout(90):
        stdout, stderr = await process.communicate()
    return Result(process.returncode or 0, stdout.decode(), shown + stderr.decode())


async def radrelay(*arguments: str | Path, token: str | None = None) -> Result:
    """The command in this process: it starts a second sooner."""
    invoke = partial(CliRunner().invoke, app, list(map(str, arguments)), env={"RADRELAY_TOKEN": token})
    result = await asyncio.to_thread(invoke)
    return Result(result.exit_code, result.stdout, result.stderr)


async def shown_until(process: Process, words: str) -> str:
    """What the command has said when it says these words."""
    assert process.stderr
    said = ""
    async with asyncio.timeout(60):
        while words not in said:
            line = await process.stderr.readline()
            assert line, said
            said += line.decode()
    return said


async def test_folders_files_and_archives_become_one_batch_named_as_they_lie(
    stack: RunningStack, tmp_path: Path
) -> None:
    tenant = new_tenant()
    write_heads(tmp_path / "study" / "ct", 2, first_seed=5000)
    (tmp_path / "study" / "letter.txt").write_text("Dear colleague")
    (tmp_path / "study" / "later").mkdir()
    archive = write_zip(tmp_path / "night.zip", [("er/1.dcm", head(5010)), ("er/cut.dcm", head(5011)[:-4000])])
    options = ("--priority", "stat", "--label", "night shift", "--tenant", tenant, "--user", "dr-ada", "--json")
    result = await ended(await start("upload", tmp_path / "study", archive, *options, "--home", stack.home))
    assert result.status == 2, result.stderr
    document = result.document
    assert (document["state"], document["label"], document["priority"]) == ("done", "night shift", "stat")
    assert (document["accepted"], document["repeated"], document["counts"]["reported"]) == (3, 0, 3)
    assert document["rejected_by_reason"] == {"not_dicom": 1, "truncated": 1}
    assert {each["name"] for each in document["rejected"]} == {"study/letter.txt", "night.zip/er/cut.dcm"}
    assert [each["name"] for each in document["skipped"]] == ["study/later"]
    assert sum(document["reports"]["by_urgency"].values()) == 3
    assert document["sent"]["sent_bytes"] == document["sent"]["size_bytes"]
    assert "processing: 100% (3 of 3, 0 failed, 2 rejected)" in result.stderr
    async with person(stack, tenant, "dr-ada") as ada:
        shown = {file.name for file in await ada.batch_files(document["batch_id"]) if file.status == "reported"}
    assert shown == {"study/ct/head-000.dcm", "study/ct/head-001.dcm", "night.zip/er/1.dcm"}


async def test_what_was_sent_before_is_told_and_its_reports_lie_in_the_earlier_batch(
    stack: RunningStack, tmp_path: Path
) -> None:
    token = stack.issue_token(new_tenant(), "dr-ada", ["clinician"])
    write_heads(tmp_path / "study", 2, first_seed=5100)
    first = await radrelay("upload", tmp_path / "study", "--url", stack.base_url, "--json", token=token)
    again = await radrelay("upload", tmp_path / "study", "--url", stack.base_url, token=token)
    assert (first.status, again.status) == (0, 0), again.stderr
    assert first.document["reports"]["in_earlier_batches"] == 0
    rows = [line.split() for line in again.stdout.splitlines()]
    assert ["of", "them", "here", "before", "2"] in rows
    assert ["in", "earlier", "batches", "2"] in rows


async def test_a_large_archive_goes_on_after_lost_connections_where_it_stood(
    stack: RunningStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radrelay_local.client.sending.BYTES_PER_REQUEST", 50_000)
    token = stack.issue_token(new_tenant(), "dr-ada", ["clinician"])
    entries = [(f"er/{number}.dcm", head(5250 + number)) for number in range(4)]
    archive = write_zip(tmp_path / "night.zip", [*entries, ("er/letter.txt", b"Dear colleague")])
    small = tmp_path / "small.dcm"
    small.write_bytes(head(5260))
    faults = [("PATCH", fault) for fault in (Fault.CUT_BODY, Fault.CUT_ANSWER, Fault.BUSY)]
    async with faulty_proxy(stack.base_url, *faults, ("HEAD", Fault.BUSY)) as proxy:
        result = await radrelay("upload", archive, small, "--url", proxy.address, "--json", token=token)
    assert result.status == 2, result.stderr
    assert not proxy.faults
    document = result.document
    assert (document["state"], document["counts"]["reported"]) == ("done", 5)
    assert [each["name"] for each in document["rejected"]] == ["night.zip/er/letter.txt"]
    assert (document["sent"]["sent_files"], document["sent"]["files"]) == (2, 2)
    assert document["sent"]["sent_bytes"] == document["sent"]["size_bytes"]
    assert "sending: 100%" in result.stderr


async def test_a_busy_server_and_lost_connections_delay_and_nothing_is_stored_twice(
    stack: RunningStack, tmp_path: Path
) -> None:
    tenant = new_tenant()
    token = stack.issue_token(tenant, "dr-ada", ["clinician"])
    write_heads(tmp_path / "study", 4, first_seed=5200)
    faults = [("/files", fault) for fault in (Fault.BUSY, Fault.CUT_BODY, Fault.CUT_ANSWER)]
    streams = [("/events", fault) for fault in (Fault.CUT_ANSWER, Fault.BUSY, Fault.CUT_BODY)]
    async with faulty_proxy(stack.base_url, *faults, *streams) as proxy:
        result = await radrelay("upload", tmp_path / "study", "--url", proxy.address, "--json", token=token)
    assert result.status == 0, result.stderr
    assert set(proxy.struck) == {Fault.BUSY, Fault.CUT_BODY, Fault.CUT_ANSWER}
    assert all(("/files", fault) not in proxy.faults for fault in Fault)
    assert result.document["counts"] == {
        "received": 4, "queued": 0, "processing": 0, "reported": 4, "failed": 0, "rejected": 0
    }  # fmt: skip
    assert result.document["sent"]["sent_bytes"] == result.document["sent"]["size_bytes"]
    async with person(stack, tenant, "dr-ada") as ada:
        assert len(await ada.batch_files(result.document["batch_id"])) == 4
        assert len(await ada.reports()) == 4


async def test_without_waiting_it_ends_unfinished_and_the_batch_is_watched_to_its_end(
    stack: RunningStack, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(stack.issue_token(new_tenant(), "dr-ada", ["clinician"]) + "\n")
    (path,) = write_heads(tmp_path, 1, first_seed=5300)
    ingest = f"http://127.0.0.1:{stack.ports['ingest-api']}"
    options = ("--url", ingest, "--token-file", token_file)
    stack.suspend("inference-worker")
    try:
        sent = await radrelay("upload", path, "--no-wait", "--json", *options)
    finally:
        stack.resume("inference-worker")
    assert sent.status == 3, sent.stderr
    assert (sent.document["state"], sent.document["accepted"]) == ("processing", 1)
    batch_id = sent.document["batch_id"]
    assert f"radrelay watch {batch_id} --url {ingest} --token-file {token_file}" in sent.stderr
    watched = await radrelay("watch", batch_id, "--json", *options)
    assert watched.status == 0, watched.stderr
    assert watched.document["state"] == "done"
    # The ingest API alone knows no reports.
    assert watched.document["reports"] is None


async def test_an_interrupted_watch_says_how_to_go_on(stack: RunningStack) -> None:
    tenant = new_tenant()
    async with person(stack, tenant, "dr-ada") as ada:
        batch = await ada.open_batch()
        access = ("--tenant", tenant, "--user", "dr-ada", "--home", stack.home)
        process = await start("watch", str(batch.batch_id), *access)
        said = await shown_until(process, "processing: 0%")
        process.send_signal(signal.SIGINT)
        result = await ended(process, said)
    assert result.status == 3
    assert f"radrelay watch {batch.batch_id} --tenant {tenant} --user dr-ada" in result.stderr
    assert "Traceback" not in result.stderr


async def test_an_interrupted_upload_ends_the_batch_with_what_was_sent(stack: RunningStack, tmp_path: Path) -> None:
    tenant = new_tenant()
    token = stack.issue_token(tenant, "dr-ada", ["clinician"])
    write_heads(tmp_path / "study", 1, first_seed=5400)
    async with faulty_proxy(stack.base_url, ("/files", Fault.STALL)) as proxy:
        process = await start("upload", tmp_path / "study", "--url", proxy.address, "--json", token=token)
        async with asyncio.timeout(60):
            await proxy.stalled.wait()
        process.send_signal(signal.SIGINT)
        result = await ended(process)
    assert result.status == 3, result.stderr
    assert (result.document["interrupted"], result.document["accepted"]) == (True, 0)
    assert "Send the same again" in result.stderr
    assert f"radrelay watch {result.document['batch_id']}" in result.stderr
    async with person(stack, tenant, "dr-ada") as ada:
        assert (await ada.batch(result.document["batch_id"])).state is BatchState.DONE


async def test_a_token_that_is_refused_is_an_error_and_nothing_is_printed(stack: RunningStack) -> None:
    result = await ended(await start("upload", __file__, "--url", stack.base_url, "--json", token="not-a-token"))
    assert (result.status, result.stdout) == (1, "")
    assert "HTTP 401" in result.stderr
    assert "Traceback" not in result.stderr
