"""Parameters as OAuth sends them: in a query or in a form, each at most once (RFC 6749, section 3)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a request says.

    `given` holds those parameters that are there once. One without a value counts as not given. `repeated` names those
    that are there more often, which a client must not do.
    """

    given: Mapping[str, str]
    repeated: frozenset[str]

    @classmethod
    def of(cls, encoded: str | bytes) -> Self:
        """Those of a query or of a form's body."""
        text = encoded if isinstance(encoded, str) else encoded.decode("utf-8", "replace")
        pairs = parse_qsl(text)
        count = Counter(name for name, _ in pairs)
        return cls(
            {name: value for name, value in pairs if count[name] == 1},
            frozenset(name for name in count if count[name] > 1),
        )


class FormRoute(APIRoute):
    """A route for forms alone. Bodies of other types go on to the next route of that path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request is one of this route's."""
        if _media_type(scope) != FORM:
            return Match.NONE, {}
        return super().matches(scope)


def _media_type(scope: Scope) -> str:
    content_type = Headers(scope=scope).get("content-type", "")
    return content_type.partition(";")[0].strip().lower()
