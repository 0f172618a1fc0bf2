"""A user of the ingest API, as its tests need one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from httpx_sse import aconnect_sse


class IngestUser:
    """Speaks to the API with one token."""

    def __init__(self, client: httpx.AsyncClient, headers: Mapping[str, str]) -> None:
        self.client = client
        self.headers = dict(headers)

    async def call(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Any request under `/v1/batches`."""
        return await self.request(method, f"/v1/batches{path}", **content)

    async def request(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Any request."""
        headers = self.headers | content.pop("headers", {})
        return await self.client.request(method, path, headers=headers, **content)

    async def open_batch(self, **body: Any) -> str:
        """A new batch's identifier."""
        response = await self.call("POST", "", json=body)
        assert response.status_code == 201, response.text
        return str(response.json()["batch_id"])

    async def send(self, batch_id: str, files: Mapping[str, bytes], *, close: bool = False) -> httpx.Response:
        """Upload files to a batch."""
        parts = [("files", (name, content, "application/dicom")) for name, content in files.items()]
        return await self.call("POST", f"/{batch_id}/files", files=parts, params={"close": close})

    async def upload(self, batch_id: str, files: Mapping[str, bytes], *, close: bool = False) -> dict[str, Any]:
        """Upload files that make a well-formed request, and return what became of them."""
        response = await self.send(batch_id, files, close=close)
        assert response.status_code == 200, response.text
        content: dict[str, Any] = response.json()
        return content

    async def batch(self, batch_id: str) -> dict[str, Any]:
        """A batch."""
        response = await self.call("GET", f"/{batch_id}")
        assert response.status_code == 200, response.text
        content: dict[str, Any] = response.json()
        return content

    async def files(self, batch_id: str) -> dict[str, dict[str, Any]]:
        """The files of a batch by name."""
        response = await self.call("GET", f"/{batch_id}/files")
        assert response.status_code == 200, response.text
        return {file["name"]: file for file in response.json()["files"]}

    async def wait_for(self, batch_id: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The batch once it fulfils a condition of its counts and state."""
        async with asyncio.timeout(20):
            while not condition(batch := await self.batch(batch_id)):
                await asyncio.sleep(0.02)
        return batch

    @asynccontextmanager
    async def events(self, batch_id: str) -> AsyncIterator[AsyncIterator[tuple[str, dict[str, Any]]]]:
        """The live progress of a batch: names and data of its events."""
        path = f"/v1/batches/{batch_id}/events"
        async with aconnect_sse(self.client, "GET", path, headers=self.headers) as source:
            source.response.raise_for_status()

            async def read() -> AsyncIterator[tuple[str, dict[str, Any]]]:
                async for event in source.aiter_sse():
                    yield event.event, event.json()

            yield read()


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The response is this problem document; returns it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = response.json()
    assert content["code"] == code
    assert content["detail"]
    return content
