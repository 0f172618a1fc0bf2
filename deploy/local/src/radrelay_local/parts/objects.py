"""S3 servers: SeaweedFS, which stands in for MinIO, and JuiceFS' gateway, which is MinIO's own S3 code."""

from pathlib import Path

from pydantic import SecretStr

from radrelay_local import checks
from radrelay_local.commands import run
from radrelay_local.credentials import Credentials
from radrelay_local.definition import Job, ProcessDefinition
from radrelay_local.errors import StackError
from radrelay_local.home import Home
from radrelay_local.people import DEVELOPMENT_TENANTS
from radrelay_local.ports import LOOPBACK
from radrelay_local.programs import program
from radrelay_local.tenants.buckets import TenantBuckets
from radrelay_shared.objects import OUTAGES, ObjectStoreSettings

SEAWEEDFS = "objects"
MINIO_GATEWAY = "minio-gateway"
ACCESS_KEY = "radrelay"
TENANTS_JOB = "development-tenants"
_JUICEFS_VOLUME = "radrelay"
_MOST_VOLUMES = 4000


def settings(name: str, ports: dict[str, int], credentials: Credentials) -> ObjectStoreSettings:
    """How to reach the S3 server `name`."""
    return ObjectStoreSettings(
        endpoint=f"{LOOPBACK}:{ports[name]}",
        access_key=ACCESS_KEY,
        secret_key=SecretStr(credentials.objects_secret_key),
        secure=False,
    )


def seaweedfs(home: Home, ports: dict[str, int], credentials: Credentials) -> ProcessDefinition:
    """SeaweedFS: master, volume server, filer and S3 gateway in one process."""
    folder = home.data(SEAWEEDFS)
    port_options = {option: ports[name] for option, name in _SEAWEEDFS_PORTS.items()}
    options = {
        "dir": str(folder),
        "ip": LOOPBACK,
        "ip.bind": LOOPBACK,
        **port_options,
        # Its default is a socket in /tmp; the name is relative because socket paths must be short.
        "filer.localSocket": "filer.sock",
        # As other servers do: no bucket without `radrelay tenants add`.
        "s3.autoCreateBucket": "false",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "admin.ui": "false",
        "webdav": "false",
        "master.telemetry": "false",
        "volume.preStopSeconds": 0,
        # Each bucket has volumes of its own; left to itself it makes as many as the disk could fill, which are few.
        "volume.max": _MOST_VOLUMES,
    }

    def prepare() -> None:
        # It remembers the options of its last start there, ports among them.
        (folder / "mini.options").unlink(missing_ok=True)
        for port in port_options.values():
            for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108  # its own choice; left by a kill
                socket.unlink()

    return ProcessDefinition(
        name=SEAWEEDFS,
        command=(program("weed"), "-logtostderr=true", "mini", *(f"-{key}={value}" for key, value in options.items())),
        env={"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": credentials.objects_secret_key},
        folder=folder,
        address=f"http://{LOOPBACK}:{ports[SEAWEEDFS]}",
        ready=_seaweedfs_ready(folder, ports),
        prepare=prepare,
    )


def _seaweedfs_ready(folder: Path, ports: dict[str, int]) -> checks.Check:
    """True when S3 answers and the master knows every volume on disk.

    After a restart it sometimes learns of them only with the second heartbeat, 5 s later. Until then reads fail.
    """
    answers = checks.http_ok(ports[SEAWEEDFS], "/healthz")

    def check() -> bool:
        # Files are named <collection>_<volume>.dat, or <volume>.dat outside a bucket.
        volumes = {path.stem.rpartition("_")[2] for path in folder.glob("*.dat")}
        master = ports["objects.master"]
        return answers() and all(checks.http_ok(master, f"/dir/lookup?volumeId={each}")() for each in volumes)

    return check


_SEAWEEDFS_PORTS = {
    "s3.port": "objects",
    "s3.port.grpc": "objects.grpc",
    "master.port": "objects.master",
    "master.port.grpc": "objects.master_grpc",
    "volume.port": "objects.volume",
    "volume.port.grpc": "objects.volume_grpc",
    "filer.port": "objects.filer",
    "filer.port.grpc": "objects.filer_grpc",
    "admin.port": "objects.admin",
    "admin.port.grpc": "objects.admin_grpc",
}


def minio_gateway(home: Home, ports: dict[str, int], credentials: Credentials) -> ProcessDefinition:
    """JuiceFS' gateway over a folder and an SQLite file. Only the object-store tests ask for it."""
    folder = home.data(MINIO_GATEWAY)
    meta = f"sqlite3://{folder}/meta.db"
    juicefs = (program("juicefs"), "--no-agent", "--no-color")

    def prepare() -> None:
        volume = ("--storage", "file", "--bucket", f"{folder}/blocks/", "--trash-days", "0")
        run((*juicefs, "format", *volume, meta, _JUICEFS_VOLUME))

    return ProcessDefinition(
        name=MINIO_GATEWAY,
        command=(
            *juicefs,
            "gateway",
            "--no-usage-report",
            "--no-banner",
            "--multi-buckets",
            "--keep-etag",
            "--object-meta",
            *("--log", f"{folder}/gateway.log"),
            *("--cache-dir", f"{folder}/cache", "--cache-size", "64M"),
            *("--backup-meta", "0"),
            *("--metrics", f"{LOOPBACK}:{ports['minio-gateway.metrics']}"),
            meta,
            f"{LOOPBACK}:{ports[MINIO_GATEWAY]}",
        ),
        env={
            "MINIO_ROOT_USER": ACCESS_KEY,
            "MINIO_ROOT_PASSWORD": credentials.objects_secret_key,
            # It makes a folder for certificates in the user's home otherwise.
            "HOME": str(folder),
        },
        folder=folder,
        address=f"http://{LOOPBACK}:{ports[MINIO_GATEWAY]}",
        ready=checks.http_ok(ports[MINIO_GATEWAY], "/minio/health/ready"),
        prepare=prepare,
        on_request=True,
    )


def tenants(ports: dict[str, int], credentials: Credentials) -> Job:
    """The development tenants, on SeaweedFS."""

    def add() -> None:
        try:
            with TenantBuckets(settings(SEAWEEDFS, ports, credentials)) as buckets:
                for tenant in DEVELOPMENT_TENANTS:
                    buckets.add(tenant)
        except OUTAGES as error:
            raise StackError(f"the development tenants cannot be added to the object store: {error}") from error

    return Job(TENANTS_JOB, add, after=(SEAWEEDFS,))
