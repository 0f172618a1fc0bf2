"""What the issuer refuses. Each refusal carries what it is answered with; `main` renders them."""


class UnanswerableRequest(Exception):
    """A browser came with what no client may be told of by a redirect (RFC 6749, section 4.1.2.1): a page says it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class AuthorizationRefused(Exception):
    """A client that is known asked for what it does not get: the answer goes to its own address.

    `error` is a code of RFC 6749, section 4.1.2.1, or of OpenID Connect Core 1.0, section 3.1.2.6.
    """

    def __init__(self, error: str, detail: str, *, redirect_uri: str, state: str | None) -> None:
        super().__init__(f"{error}: {detail}")
        self.error = error
        self.detail = detail
        self.redirect_uri = redirect_uri
        self.state = state


class TokenRefused(Exception):
    """A client gets no tokens; `error` is a code of RFC 6749, section 5.2."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(f"{error}: {detail}")
        self.error = error
        self.detail = detail
