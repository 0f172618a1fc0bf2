"""Stacks that these tests may hurt: not the one that the other tests share."""

from collections.abc import Iterator

import pytest

from radrelay_local.stack import start_infrastructure
from support.stack import Infrastructure


@pytest.fixture(scope="module")
def own_infra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Infrastructure]:
    with start_infrastructure(tmp_path_factory.mktemp("own"), prefer_usual_ports=False) as infrastructure:
        yield infrastructure
