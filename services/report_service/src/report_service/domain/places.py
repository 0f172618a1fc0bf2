"""Where destinations may be: what the platform team names, and nothing else.

Whoever may name an address has this service call it from within the hospital's network (server-side request forgery,
CWE-918). So hosts are named one by one for an installation, and no name leads to the machine itself or to its
neighbours on the link, where clouds keep credentials.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

SETTING: Final = "RADRELAY_REPORT_DESTINATIONS__HOSTS"
MAX_URL_CHARACTERS: Final = 1000
_PORTS: Final = {"https": 443, "http": 80}
# What urlsplit would pass over in silence, or two readers read in two ways, is no address.
_PLAIN: Final = re.compile(r"[!-~]+")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_ANY_PORT: Final = ":*"


class NoPlace(ValueError):
    """An address that nothing is sent to. `code` is stable, `detail` says what is wrong."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Place:
    """An address as it is called: the parts that were checked are those that are used."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query."""

    @classmethod
    def of(cls, url: str) -> Self:
        """The parts of an address.

        Raises:
            NoPlace: it is none, or says more than where to.
        """
        if len(url) > MAX_URL_CHARACTERS or not _PLAIN.fullmatch(url) or "\\" in url:
            raise _invalid("it must be plain ASCII without spaces, and not longer than 1000 characters")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise _invalid("it is no address") from error
        if parts.scheme not in _PORTS:
            raise _invalid("it must begin with https://")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise _invalid("it must name no user, password or fragment")
        if not _HOST.fullmatch(host) and not is_address(host):
            raise _invalid("its host is no name and no address")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.scheme, host, _PORTS[parts.scheme] if port is None else port, target)


@dataclass(frozen=True, slots=True)
class Allowed:
    """A host that the platform team names, such as `https://ris.example.org`, `https://ris.example.org:8443`."""

    scheme: str
    host: str
    port: int | None
    """None: any; said by `:*`."""

    @classmethod
    def of(cls, text: str) -> Self:
        """What the setting says.

        Raises:
            ValueError: it is not scheme, host and perhaps a port.
        """
        place = Place.of(text.removesuffix(_ANY_PORT))
        if place.target != "/" or text.endswith("/"):
            raise ValueError(f"{text!r}: a host has no path")
        return cls(place.scheme, place.host, None if text.endswith(_ANY_PORT) else place.port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = _ANY_PORT if self.port is None else "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    def takes(self, place: Place) -> bool:
        """Whether something may be sent there."""
        return (self.scheme, self.host) == (place.scheme, place.host) and self.port in {None, place.port}


def check_place(url: str, allowed: tuple[Allowed, ...]) -> Place:
    """The parts of an address that something may be sent to.

    Raises:
        NoPlace: it is none, or the platform team does not name it.
    """
    place = Place.of(url)
    if not any(each.takes(place) for each in allowed):
        detail = f"Whoever runs Radrelay has not allowed this host for destinations (setting {SETTING})."
        raise NoPlace("destination_host_not_allowed", detail)
    return place


def is_address(host: str) -> bool:
    """Whether a host is an address of the network, and no name."""
    return _address(host) is not None


def is_forbidden(address: str) -> bool:
    """Whether a name may not lead to this address: to the machine itself, its link, or to nobody or many."""
    found = _address(address)
    if found is None:
        return True
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _invalid(what: str) -> NoPlace:
    return NoPlace("invalid_destination_url", f"`url` is not an address that can be sent to: {what}.")
