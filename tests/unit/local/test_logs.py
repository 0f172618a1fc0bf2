from pathlib import Path

import pytest

from radrelay_local import logs
from radrelay_local.errors import StackError
from radrelay_local.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.create()
    home.log("nats").write_text("".join(f"line {number}\n" for number in range(200)))
    home.log("objects").write_text("ready\nhalf a li")
    return home


def test_one_log_shows_its_last_lines(home: Home) -> None:
    shown = list(logs.lines(home, "nats", follow=False))
    assert shown[-1] == "line 199"
    assert len(shown) < 200


def test_all_logs_name_their_process(home: Home) -> None:
    shown = list(logs.lines(home, None, follow=False))
    assert shown[-2:] == ["nats    | line 199", "objects | ready"]


def test_following_shows_what_is_added(home: Home) -> None:
    following = logs.lines(home, "objects", follow=True)
    assert next(following) == "ready"
    with home.log("objects").open("a") as file:
        file.write("ne\nnext\n")
    assert [next(following), next(following)] == ["half a line", "next"]


def test_an_unknown_log_is_refused_with_those_there_are(home: Home) -> None:
    with pytest.raises(StackError, match=r"no log of edge .* nats, objects"):
        list(logs.lines(home, "edge", follow=False))
