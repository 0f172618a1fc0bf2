"""The rules that Dockerfiles and the services of Compose keep. Each function says what breaks them."""

import re
from typing import Any, Final

from radrelay_shared.settings import SECRETS_DIR
from support.settings_of import is_setting

USER: Final = "10001:10001"
HANDS_OVER: Final = {"volumes", "observability-volumes"}
"""Services that give volumes to that user, which only root may."""
WITHOUT_PROBE: Final = {"otel-collector"}
"""Its image has no program but the collector."""
DRAIN_S: Final = 10.0
_STAGE = re.compile(r"^FROM (?P<image>\S+)(?: AS (?P<name>\S+))?$", re.MULTILINE)
_LABELS: Final = ("title", "description", "version", "revision")
_SECRET_NAME = re.compile(r"(?i)(password|secret|token|(?<!access)_key)s?$|secret_key")
_IN_RUNTIME: Final = ("pip install", "apt-get", "apk ", "curl ", "wget ", "ADD ")


def dockerfile_problems(text: str, *, describes_itself: bool = True) -> list[str]:
    """What is wrong with a Dockerfile; `describes_itself` asks for the labels and the probe of a finished image."""
    lines = " ".join(line for line in text.splitlines() if not line.lstrip().startswith("#")).replace("\\ ", " ")
    stages = list(_STAGE.finditer(text))
    names = {stage["name"] for stage in stages}
    found = [
        f"stage {stage.start()} stands on {stage['image']}, not on an argument"
        for stage in stages
        if stage["image"] not in names | {"${BASE}", "${BASE_IMAGE}"}
    ]
    if re.search(r":latest\b", lines):
        found.append("latest is no version")
    if re.search(r"(?i)\b(ARG|ENV) \S*(password|secret|token)", lines):
        found.append("a secret would be in the image's history")
    for stage in _runtime_stages(text, stages):
        users = re.findall(r"^USER (\S+)$", stage, re.MULTILINE)
        if users and users[-1] != USER:
            found.append(f"runs as {users[-1]}")
        found += [f"{command.strip()} in a stage that runs" for command in _IN_RUNTIME if command in stage]
        if describes_itself and "COPY --from" in stage:
            found += [f"no label {label}" for label in _LABELS if f"opencontainers.image.{label}=" not in stage]
    if describes_itself and "HEALTHCHECK" not in text:
        found.append("no HEALTHCHECK")
    return found


def service_problems(name: str, service: dict[str, Any]) -> list[str]:
    """What is wrong with a service, as `docker compose config --format json` shows it."""
    return [
        f"{name}: {problem}"
        for problem in (*_hardening(name, service), *_settings(service), *_probe(name, service), *_ending(service))
    ]


def _runtime_stages(text: str, stages: list[re.Match[str]]) -> list[str]:
    ends = [*(stage.start() for stage in stages[1:]), len(text)]
    bodies = {stage: text[stage.start() : end] for stage, end in zip(stages, ends, strict=True)}
    return [body for stage, body in bodies.items() if not (stage["name"] or "").startswith("build")]


def _hardening(name: str, service: dict[str, Any]) -> list[str]:
    hands_over = name in HANDS_OVER
    wanted = {
        "user": "0:0" if hands_over else USER,
        "read_only": True,
        "cap_drop": ["ALL"],
        "cap_add": ["CHOWN"] if hands_over else None,
        "security_opt": ["no-new-privileges:true"],
        "privileged": None,
        "pid": None,
        "ipc": None,
        "network_mode": "none" if hands_over else None,
    }
    found = [f"{key} is {service.get(key)!r}" for key, value in wanted.items() if service.get(key) != value]
    if not any(mount.startswith("/tmp:") for mount in service.get("tmpfs", [])):  # in the container
        found.append("/tmp cannot be written to")
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    found += [f"no limit of {what}" for what in ("cpus", "memory", "pids") if what not in limits]
    tag = service["image"].rpartition("/")[2].partition(":")[2]
    if tag in {"", "latest"}:
        found.append(f"{service['image']} has no version")
    published = [port.get("host_ip", "all") for port in service.get("ports", [])]
    found += [f"a port is published on {address}" for address in published if address != "127.0.0.1"]
    if any(mount.get("source", "").endswith("docker.sock") for mount in service.get("volumes", [])):
        found.append("has Docker's socket")
    return found


def _settings(service: dict[str, Any]) -> list[str]:
    environment = _environment(service)
    ours = [name for name in environment if name.startswith("RADRELAY_")]
    secrets = [secret["target"].rpartition("/")[2] for secret in service.get("secrets", [])]
    found = [f"{name} sets nothing" for name in ours if not is_setting(name)]
    # A folder that is named and not there ends the start; one that is not named is not read.
    if (SECRETS_DIR in environment) != any(name.startswith("radrelay_") for name in secrets):
        found.append(f"{SECRETS_DIR} is {environment.get(SECRETS_DIR)}, and there are {len(secrets)} secrets")
    found += [
        f"the secret {name} sets nothing" for name in secrets if name.startswith("radrelay_") and not is_setting(name)
    ]
    # What names a file, or turns something on and off, is no secret itself.
    open_secrets = [name for name in environment if _SECRET_NAME.search(name) and not name.endswith("_FILE")]
    return found + [f"{name} is a secret in the environment" for name in open_secrets if environment[name]]


def _environment(service: dict[str, Any]) -> dict[str, str]:
    return service.get("environment") or {}


def _probe(name: str, service: dict[str, Any]) -> list[str]:
    if name in WITHOUT_PROBE or service["restart"].startswith("on-failure"):
        return []
    if "healthcheck" not in service or "test" not in service["healthcheck"]:
        return ["no healthcheck"]
    port = next((value for key, value in _environment(service).items() if key.endswith("HEALTH_PORT")), None)
    probe = service["healthcheck"]["test"]
    return [f"listens on {port}, asked at {probe[-1]}"] if port and probe[-1] != f"{port}/readyz" else []


def _ending(service: dict[str, Any]) -> list[str]:
    grace = service.get("stop_grace_period", "10s")
    minutes, _, seconds = grace.rpartition("m")
    total = 60 * float(minutes or 0) + float(seconds.removesuffix("s") or 0)
    return [] if total > 2 * DRAIN_S else [f"is killed after {grace}"]
