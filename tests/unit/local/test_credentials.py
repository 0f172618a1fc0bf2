"""Passwords and keys of a stack are made once, also those that an older stack did not need."""

import json
from pathlib import Path

from radrelay_local.credentials import Credentials
from radrelay_local.home import Home


def test_they_are_made_once(tmp_path: Path) -> None:
    assert Credentials.of(Home(tmp_path)) == Credentials.of(Home(tmp_path)) != Credentials()


def test_what_an_older_stack_did_not_need_is_added_and_kept(tmp_path: Path) -> None:
    first = Credentials.of(Home(tmp_path))
    file = Home(tmp_path).credentials_file
    kept = json.loads(file.read_text())
    del kept["report_destination_key"]
    file.write_text(json.dumps(kept))
    later = Credentials.of(Home(tmp_path))
    assert later.report_destination_key != first.report_destination_key
    assert later.nats_password == first.nats_password
    assert Credentials.of(Home(tmp_path)) == later
