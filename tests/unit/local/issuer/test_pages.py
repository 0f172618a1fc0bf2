import base64
import hashlib
import re

import pytest

from support.relying_party import RelyingParty, forms_of

ATTACK = "\"><script>alert('x')</script><img src=x onerror=alert(1)>&amp;"


@pytest.mark.parametrize("name", ["state", "nonce"])
async def test_what_a_request_says_is_text_on_the_page(client: RelyingParty, name: str) -> None:
    page = (await client.ask(**{name: ATTACK})).text
    assert "<script" not in page
    assert "<img" not in page
    assert {form[name] for form in forms_of(page)} == {ATTACK}


@pytest.mark.parametrize("name", ["tenant", "user", "role"])
async def test_what_somebody_typed_is_text_on_the_page(client: RelyingParty, name: str) -> None:
    form = {**forms_of((await client.ask()).text)[-1], "tenant": "north", "user": "", "role": "clinician"}
    page = (await client.submit({**form, name: ATTACK, **({} if name == "tenant" else {"tenant": "No"})})).text
    assert "Sign in" in page
    assert "<script" not in page
    assert "<img" not in page


async def test_a_page_of_an_error_repeats_nothing_of_the_request(client: RelyingParty) -> None:
    page = await client.ask(redirect_uri=ATTACK, client_id=ATTACK)
    assert page.status_code == 400
    assert "alert" not in page.text


async def test_the_policy_permits_the_pages_own_style_and_no_script(client: RelyingParty) -> None:
    page = await client.ask()
    policy = dict(each.split(" ", 1) for each in page.headers["content-security-policy"].split("; "))
    found = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "form-action": f"'self' {client.origin}",
    }
    assert len(found) == 1
    assert "style=" not in page.text


async def test_the_browser_is_told_to_send_the_origin_with_the_form(client: RelyingParty) -> None:
    assert (await client.ask()).headers["referrer-policy"] == "same-origin"


async def test_every_entry_has_its_label(client: RelyingParty) -> None:
    page = (await client.ask()).text
    entries = re.findall(r'<(?:input|select) id="([^"]+)"', page)
    assert entries == ["tenant", "user", "role"]
    assert re.findall(r'<label for="([^"]+)"', page) == entries
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')


async def test_a_wrong_entry_points_to_what_is_wrong(client: RelyingParty) -> None:
    form = {**forms_of((await client.ask()).text)[-1], "tenant": "North", "user": "x", "role": "clinician"}
    page = (await client.submit(form)).text
    assert 'role="alert"' in page
    assert re.findall(r'name="(\w+)" value="[^"]*"[^>]*aria-invalid="true" aria-describedby="wrong"', page) == [
        "tenant"
    ]
