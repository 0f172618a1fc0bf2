"""The worker process: `python -m inference_service.worker`."""

from functools import partial

from inference_service.bootstrap import open_worker
from inference_service.settings import WorkerSettings
from radrelay_shared.process import run_worker


def main() -> None:
    """Run the worker until SIGTERM."""
    settings = WorkerSettings()
    run_worker(
        "inference-worker",
        settings.observability,
        settings.health_port,
        partial(open_worker, settings),
        health_host=settings.health_host,
    )


if __name__ == "__main__":
    main()
