"""FHIR bundles, as those read them who get them."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from fhir.resources.R4B.bundle import Bundle

Resource = dict[str, Any]

_STRING: Final = re.compile(r"([ \t\r\n]|[^\s\x00-\x1f])+")
"""R4, data type string: no control characters; nor other spaces, which some readers take for none of its characters."""


def resources_of(content: str | bytes) -> dict[str, list[Resource]]:
    """The resources of a valid bundle by their type, in their order.

    Raises:
        ValueError: it is no bundle, or two entries of it have one address, or one points to what is not in it, or a
            text is none of FHIR's.
    """
    Bundle.model_validate_json(content)
    entries = json.loads(content)["entry"]
    addresses = [entry["fullUrl"] for entry in entries]
    if len(set(addresses)) != len(addresses):
        raise ValueError("two entries have the same address")
    texts = list(_texts(entries))
    if lost := {text for name, text in texts if name == "reference"} - set(addresses):
        raise ValueError(f"nothing is at {lost}")
    if wrong := [name for name, text in texts if not _STRING.fullmatch(text) or not text.strip()]:
        raise ValueError(f"no FHIR string is in {wrong}")
    found: dict[str, list[Resource]] = {}
    for entry in entries:
        if entry["fullUrl"] != f"urn:uuid:{entry['resource']['id']}":
            raise ValueError("an address is not that of its resource")
        found.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    return found


def component(observation: Resource, code: str) -> Any:
    """The value of an observation's component, by our code for it."""
    (found,) = (each for each in observation["component"] if each["code"]["coding"][0]["code"] == code)
    (value,) = (value for name, value in found.items() if name.startswith("value"))
    return value


def _texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text, with the name of the field that it is in."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for child, each in value.items():
            yield from _texts(each, child)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, name)
