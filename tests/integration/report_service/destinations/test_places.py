"""Nothing is sent to where it may not be, at the moment that it is sent."""

from pathlib import Path

import pytest

from support.certificates import Authority
from support.couriers import Couriers
from support.destinations import Administrator
from support.receivers import Receiver, receiving_events


async def test_a_host_that_is_not_allowed_any_more_is_not_called(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    await boss.test(destination)
    async with couriers.at_work(hosts=("https://elsewhere.example.org",)):
        found = await boss.until_tried(destination)
    assert (found["last_reason"], found["last_status"]) == ("destination_host_not_allowed", None)
    assert receiver.received == []


async def test_a_name_that_leads_to_the_machine_itself_is_not_connected_to(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    """The setting names a host; whoever answers for names may say anything of where it is."""
    destination = await boss.create(receiver.url)
    await boss.test(destination)
    url = f"http://localhost:{receiver.port}/events"
    await couriers.change(boss.tenant, "UPDATE report.destinations SET url = :url", url=url)
    async with couriers.at_work(hosts=("http://localhost:*",)):
        found = await boss.until_tried(destination)
    assert found["last_reason"] == "address_not_allowed"
    assert receiver.received == []


async def test_only_a_certificate_of_an_authority_that_is_known_is_spoken_to(
    couriers: Couriers, boss: Administrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    with receiving_events(authority.issue("127.0.0.1")) as receiver:
        destination = await boss.create(receiver.url)
        await boss.test(destination)
        async with couriers.at_work(hosts=("https://127.0.0.1:*",)):
            found = await boss.until_tried(destination)
        assert (found["last_reason"], receiver.received) == ("tls_failed", [])
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        async with couriers.at_work(hosts=("https://127.0.0.1:*",)):
            await boss.until(destination, "delivered")
    assert len(receiver.received) == 1
