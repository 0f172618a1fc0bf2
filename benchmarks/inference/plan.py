"""How much is measured."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Numbers of repeats and images."""

    map_pairs: int
    """Pairs of one batch with and one without maps."""
    batch_sizes: tuple[int, ...]
    """Tried on the bare runtime."""
    bare_s: float
    """Seconds of one measurement of the bare runtime."""
    rounds: int
    """Of bare runtime, whole worker and naive design in turn."""
    worker_images: int
    """Waiting in the stream at the start of a round."""
    naive_images: int
    """Of those, how many the naive design repeats."""
    lone_images: int
    """Stat images sent to an idle worker, one after the other."""
    memory_images: int
    sweep_batch_sizes: tuple[int, ...]
    """Largest batches of the model server that the sweep tries."""
    sweep_images: int
    """For each of them, twice."""


FULL = Plan(
    map_pairs=25,
    batch_sizes=(1, 2, 4, 8, 16),
    bare_s=4.0,
    rounds=5,
    worker_images=300,
    naive_images=10,
    lone_images=20,
    memory_images=5000,
    sweep_batch_sizes=(2, 4, 8, 16),
    sweep_images=300,
)
QUICK = Plan(
    map_pairs=5,
    batch_sizes=(1, 4),
    bare_s=0.5,
    rounds=2,
    worker_images=60,
    naive_images=2,
    lone_images=4,
    memory_images=100,
    sweep_batch_sizes=(4,),
    sweep_images=60,
)
