"""What the routes get from the application."""

from fastapi import Request

from report_service.bootstrap import Container


def container_of(request: Request) -> Container:
    """What the lifespan opened."""
    container = request.state.container
    if not isinstance(container, Container):
        raise TypeError("the lifespan yields the report service's container")
    return container
