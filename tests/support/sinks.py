"""Everything that a stack tells the outside about itself: logs, spans, metrics, messages, tables."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg
import httpx
import nats

from radrelay_local.ports import LOOPBACK
from radrelay_shared.messaging.topology import STREAMS
from support.otlp import Receiver
from support.stack import RunningStack

SCRAPED: Mapping[str, str] = {
    "ingest-api": "ingest-api",
    "report-api": "report-api",
    "dashboard-api": "dashboard-api",
    "ingest-worker": "ingest-worker",
    "report-worker": "report-worker",
    "dashboard-worker": "dashboard-worker",
    "inference-worker": "inference-worker",
    "ingest-dimse": "ingest-dimse.health",
    "model-server": "model-server",
}
"""Processes with `/metrics`, and the stack's name of the port."""


async def metrics_of(stack: RunningStack) -> dict[str, str]:
    """What each process answers at `/metrics`."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:

        async def scrape(port: str) -> str:
            return (await client.get(f"http://{LOOPBACK}:{stack.ports[port]}/metrics")).raise_for_status().text

        pages = await asyncio.gather(*map(scrape, SCRAPED.values()))
    return dict(zip(SCRAPED, pages, strict=True))


def logs_of(stack: RunningStack) -> dict[str, Iterator[bytes]]:
    """What each process and job has written, line by line."""
    return {f"log of {path.stem}": iter(path.read_bytes().splitlines()) for path in stack.folders.logs.glob("*.log*")}


async def messages_of(stack: RunningStack) -> list[tuple[str, bytes, bytes]]:
    """Subject, headers and payload of every message in every stream."""
    client = await nats.connect(stack.nats_url)
    found = []
    try:
        js = client.jetstream()
        for stream in STREAMS:
            state = (await js.stream_info(stream.name)).state
            sequence = state.first_seq if state.messages else state.last_seq + 1
            while sequence <= state.last_seq:
                message = await js.get_msg(stream.name, seq=sequence, next=True, subject=">")
                headers = json.dumps(message.headers or {}).encode()
                found.append((message.subject or "", headers, message.data or b""))
                sequence = (message.seq or state.last_seq) + 1
    finally:
        await client.close()
    return found


async def tables_of(stack: RunningStack) -> dict[str, list[bytes]]:
    """Every value of every column that holds text, bytes or JSON: a sink for each column."""
    connection: Any = await asyncpg.connect(stack.postgres_admin_url.rsplit("/", 1)[0] + "/radrelay")
    try:
        columns = await connection.fetch(
            "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema IN ('ingest', 'report', 'dashboard')"
            " AND data_type IN ('text', 'character varying', 'bytea', 'jsonb', 'json')"
        )
        return {
            f"{schema}.{table}.{column}": [
                value if isinstance(value, bytes) else str(value).encode()
                for (value,) in await connection.fetch(
                    f'SELECT "{column}" FROM "{schema}"."{table}" WHERE "{column}" IS NOT NULL'
                )
            ]
            for schema, table, column, _ in columns
        }
    finally:
        await connection.close()


def spans_of(receiver: Receiver) -> dict[str, Iterator[bytes]]:
    """What was exported, attributes, events and resources with it."""
    return {"spans": iter(tuple(receiver.bodies))}
