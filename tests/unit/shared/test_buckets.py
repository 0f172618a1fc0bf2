import pytest

from radrelay_shared.objects import NoBucketName, bucket_of, tenant_of
from radrelay_shared.objects.buckets import Place, place_of


def test_a_key_s_first_part_is_its_tenant_s_bucket_and_the_rest_its_name() -> None:
    assert place_of("radrelay", "north/instances/a.dcm") == Place("radrelay-north", "instances/a.dcm")


@pytest.mark.parametrize("tenant", ["n", "0", "north-hospital", "n" * 54])
def test_a_bucket_leads_back_to_its_tenant(tenant: str) -> None:
    bucket = bucket_of("radrelay", tenant)
    assert 3 <= len(bucket) <= 63
    assert tenant_of("radrelay", bucket) == tenant


@pytest.mark.parametrize(
    "tenant", ["", "-north", "North", "a.b", "a_b", "a/b", "north-", "a-s3alias", "a--ol-s3", "n" * 55]
)
def test_a_tenant_that_no_bucket_can_be_named_by_is_refused(tenant: str) -> None:
    with pytest.raises(NoBucketName):
        bucket_of("radrelay", tenant)


@pytest.mark.parametrize("bucket", ["radrelay", "radrelay-", "north", "backup-radrelay-north", "radrelay-a.b"])
def test_other_buckets_are_nobody_s(bucket: str) -> None:
    assert tenant_of("radrelay", bucket) is None


def test_a_key_without_a_tenant_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="names nothing of a tenant"):
        place_of("radrelay", "a.dcm")
