"""Removing objects so that no version of them can be had back."""

from collections.abc import Iterator

from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import ServerError

from radrelay_shared.objects.buckets import Place


def erase_versions(client: Minio, place: Place) -> int:
    """Remove every version of each object whose name starts with `place.name`; return how many there were.

    The marks that deletions left go too.

    Raises:
        minio.error.ServerError: the server kept something; the rest is gone.
        minio.error.S3Error: it refuses.
    """
    count = 0

    def versions() -> Iterator[DeleteObject]:
        nonlocal count
        found = client.list_objects(bucket_name=place.bucket, prefix=place.name, recursive=True, include_version=True)
        for each in found:
            count += 1
            yield DeleteObject(str(each.object_name), each.version_id)

    kept = list(client.remove_objects(bucket_name=place.bucket, delete_object_list=versions()))
    if kept:
        raise ServerError(f"{len(kept)} versions were not removed: {kept[0].code}", 500)
    return count
