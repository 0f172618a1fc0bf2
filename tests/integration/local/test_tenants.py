"""`radrelay tenants` against S3 servers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule
from minio.versioningconfig import SUSPENDED, VersioningConfig
from typer.testing import CliRunner, Result

from radrelay_local.tenants import commands
from radrelay_shared.objects import ObjectStoreSettings, S3ObjectStore, open_clients
from support.stack import Infrastructure, RunningStack

ALL_ON = {"versioning": "on", "encryption": "on", "lifecycle": "on", "is_as_wanted": True}


class Operator:
    """One who types commands, for tenants under a prefix of the test's own."""

    def __init__(self, settings: ObjectStoreSettings) -> None:
        self.settings = settings.model_copy(update={"bucket_prefix": f"p{uuid4().hex[:12]}"})
        self.s3: Minio = open_clients(self.settings).minio

    def types(self, *arguments: str, **changes: str) -> Result:
        env = {
            "ENDPOINT": self.settings.endpoint,
            "ACCESS_KEY": self.settings.access_key,
            "SECRET_KEY": self.settings.secret_key.get_secret_value(),
            "BUCKET_PREFIX": self.settings.bucket_prefix,
            "SECURE": "false",
            **changes,
        }
        named = {f"RADRELAY_OBJECTS__{name}": value or None for name, value in env.items()}
        return CliRunner().invoke(commands.app, arguments, env={**named, "COLUMNS": "200"})

    def does(self, *arguments: str) -> str:
        result = self.types(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def lists(self) -> dict[str, dict[str, Any]]:
        return {each["tenant"]: each for each in json.loads(self.types("list", "--json").stdout)}

    def bucket(self, tenant: str) -> str:
        return f"{self.settings.bucket_prefix}-{tenant}"


@pytest.fixture
def operator(infra: Infrastructure) -> Operator:
    return Operator(infra.objects)


@pytest.fixture
def of_a_poor_server(infra: Infrastructure) -> Operator:
    """A server that has no versions, no lifecycle and no encryption."""
    return Operator(infra.minio_gateway)


def test_a_tenant_that_is_added_has_everything_and_adding_it_again_changes_nothing(operator: Operator) -> None:
    said = operator.does("add", "north")
    assert f"bucket {operator.bucket('north')} made" in said
    assert {f"north: {what} on" for what in ("versioning", "encryption", "lifecycle")} <= set(said.splitlines())
    listed = operator.lists()["north"]
    assert listed.items() >= ALL_ON.items()
    assert listed["retention"] == {"rejected_days": 8, "old_version_days": 30, "unfinished_days": 1}
    assert operator.does("add", "north") == "north: nothing to change\n"


def test_times_that_are_given_are_set_and_stay_until_others_are_given(operator: Operator) -> None:
    operator.does("add", "north", "--rejected-days", "15")
    assert operator.does("add", "north") == "north: nothing to change\n"
    said = operator.does("add", "north", "--rejected-days", "20", "--old-version-days", "7")
    assert said.splitlines() == ["north: rejected days: 20, was 15", "north: old version days: 7, was 30"]
    assert operator.lists()["north"]["retention"] == {
        "rejected_days": 20,
        "old_version_days": 7,
        "unfinished_days": 1,
    }


def suspend_versioning(s3: Minio, bucket: str) -> None:
    s3.set_bucket_versioning(bucket_name=bucket, config=VersioningConfig(SUSPENDED))


def remove_encryption(s3: Minio, bucket: str) -> None:
    s3.delete_bucket_encryption(bucket_name=bucket)


def keep_rejected_files_for_ever(s3: Minio, bucket: str) -> None:
    rules = s3.get_bucket_lifecycle(bucket_name=bucket)
    assert rules is not None
    rest = [rule for rule in rules.rules if rule.expiration is None or not rule.expiration.days]
    s3.set_bucket_lifecycle(bucket_name=bucket, config=LifecycleConfig(rest))


@pytest.mark.parametrize(
    ("spoil", "setting"),
    [
        (suspend_versioning, "versioning"),
        (remove_encryption, "encryption"),
        (keep_rejected_files_for_ever, "lifecycle"),
    ],
)
def test_a_setting_that_was_changed_is_shown_and_mended(
    operator: Operator, spoil: Callable[[Minio, str], None], setting: str
) -> None:
    operator.does("add", "north", "--rejected-days", "15", "--old-version-days", "40")
    spoil(operator.s3, operator.bucket("north"))
    assert operator.types("list").exit_code == 1
    assert operator.lists()["north"].items() >= (ALL_ON | {setting: "off", "is_as_wanted": False}).items()
    assert f"north: {setting} on" in operator.does("add", "north")
    assert operator.lists()["north"].items() >= ALL_ON.items()
    assert operator.lists()["north"]["retention"]["old_version_days"] == 40


def test_a_lifecycle_rule_of_somebody_else_stays(operator: Operator) -> None:
    bucket = operator.bucket("north")
    theirs = Rule(ENABLED, rule_id="theirs", rule_filter=Filter(prefix="tmp/"), expiration=Expiration(days=3))
    operator.s3.make_bucket(bucket_name=bucket)
    operator.s3.set_bucket_lifecycle(bucket_name=bucket, config=LifecycleConfig([theirs]))
    operator.does("add", "north")
    rules = operator.s3.get_bucket_lifecycle(bucket_name=bucket)
    assert rules is not None
    assert theirs in rules.rules
    assert operator.lists()["north"]["is_as_wanted"]


def test_a_server_that_does_not_offer_a_setting_is_told_of(of_a_poor_server: Operator) -> None:
    added = of_a_poor_server.types("add", "north")
    assert added.exit_code == 1
    for setting in ("versioning", "encryption", "lifecycle"):
        assert f"north: NOT SET: the server does not offer {setting}" in added.stdout
    assert of_a_poor_server.types("list").exit_code == 1
    assert not of_a_poor_server.lists()["north"]["is_as_wanted"]


async def store(settings: ObjectStoreSettings) -> None:
    async with S3ObjectStore(settings) as objects:
        for key in ("north/instances/a.dcm", "north/rejected/b"):
            await objects.put(key, b"abc", content_type="application/dicom")


async def test_a_tenant_with_objects_is_only_removed_with_all_that_it_has(operator: Operator) -> None:
    operator.does("add", "north")
    operator.does("add", "south")
    await store(operator.settings)
    refused = operator.types("remove", "north")
    assert (refused.exit_code, "nothing was removed" in refused.stderr) == (1, True)
    async with S3ObjectStore(operator.settings) as objects:
        assert await objects.get("north/instances/a.dcm") == b"abc"
    said = operator.does("remove", "north", "--erase")
    assert said == "north: bucket removed, with 2 objects, every version counted\n"
    assert operator.lists().keys() == {"south"}
    assert operator.does("remove", "south") == "south: bucket removed\n"
    assert operator.types("list").stdout == "No tenants.\n"


async def test_what_was_deleted_can_still_be_had_back_and_so_keeps_the_tenant(operator: Operator) -> None:
    operator.does("add", "north")
    await store(operator.settings)
    async with S3ObjectStore(operator.settings) as objects:
        for key in [key async for key in objects.list_keys("north/")]:
            await objects.delete(key)
        assert [key async for key in objects.list_keys("north/")] == []
    assert operator.types("remove", "north").exit_code == 1
    assert "with 4 objects" in operator.does("remove", "north", "--erase")  # two, and the marks of their deletion
    assert not operator.s3.bucket_exists(bucket_name=operator.bucket("north"))


@pytest.mark.parametrize(
    ("name", "message"),
    [("North", "no name of a tenant"), ("north-", "an end that no bucket may have"), ("n" * 60, "at most 49 can be")],
)
def test_a_name_that_no_bucket_can_have_is_refused(operator: Operator, name: str, message: str) -> None:
    refused = operator.types("add", name)
    assert (refused.exit_code, message in refused.stderr) == (2, True)
    assert operator.lists() == {}


def test_a_tenant_that_is_not_there_cannot_be_removed(operator: Operator) -> None:
    refused = operator.types("remove", "north", "--erase")
    assert (refused.exit_code, refused.stderr) == (2, "radrelay: there is no tenant north\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ENDPOINT": "127.0.0.1:1"}, "the store cannot be reached"),
        ({"SECRET_KEY": "other-key-other-key"}, "the store refuses"),
        ({"SECRET_KEY": ""}, "RADRELAY_OBJECTS__SECRET_KEY: Field required"),
        ({"BUCKET_PREFIX": "No Prefix"}, "RADRELAY_OBJECTS__BUCKET_PREFIX: String should match"),
    ],
)
def test_what_cannot_be_done_has_a_message_and_a_status_of_its_own(
    operator: Operator, change: dict[str, str], message: str
) -> None:
    for command in (("add", "north"), ("list",), ("remove", "north")):
        result = operator.types(*command, **change)
        assert (result.exit_code, message in result.stderr) == (2, True), result.output


def test_without_a_store_in_the_environment_it_is_the_local_stack_s(infra: Infrastructure, tmp_path: Path) -> None:
    tenant = f"t-{uuid4().hex[:12]}"
    unset = {"RADRELAY_OBJECTS__ENDPOINT": None}
    added = CliRunner().invoke(commands.app, ("add", tenant, "--home", str(infra.home)), env=unset)
    assert (added.exit_code, f"bucket radrelay-{tenant} made" in added.stdout) == (0, True)
    nowhere = CliRunner().invoke(commands.app, ("list", "--home", str(tmp_path)), env=unset)
    assert (nowhere.exit_code, "never been up" in nowhere.stderr) == (2, True)


def test_the_local_stack_has_the_tenants_of_the_demo(stack: RunningStack) -> None:
    unset = {"RADRELAY_OBJECTS__ENDPOINT": None}
    listed = CliRunner().invoke(commands.app, ("list", "--json", "--home", str(stack.home)), env=unset)
    tenants = {each["tenant"]: each["is_as_wanted"] for each in json.loads(listed.stdout)}
    assert tenants.items() >= {"north": True, "south": True}.items()
