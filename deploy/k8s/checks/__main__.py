"""`python -m deploy.k8s.checks`: exits with 1 where any combination has a fault, and says which."""

import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from deploy.k8s.checks import schemas
from deploy.k8s.checks.manifests import Manifests
from deploy.k8s.checks.rendering import CannotRender, Combination, Object, combinations, render
from deploy.k8s.checks.rules import findings

_AT_ONCE = 2
_MOST_NAMED = 3


def main() -> int:
    """Check every combination; the exit status."""
    chosen = combinations()
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            rendered = list(zip(chosen, pool.map(render, chosen), strict=True))
    except CannotRender as error:
        sys.stderr.write(f"{error}\n")
        return 1
    found = faults_of(rendered)
    for finding, where in found.items():
        more = f" and {len(where) - _MOST_NAMED} more" if len(where) > _MOST_NAMED else ""
        sys.stderr.write(f"{finding}\n    in {', '.join(where[:_MOST_NAMED])}{more}\n")
    objects = sum(len(each) for _, each in rendered)
    sys.stderr.write(f"{len(chosen)} combinations, {objects} objects: {len(found)} findings\n")
    return 1 if found else 0


def faults_of(rendered: Iterable[tuple[Combination, list[Object]]]) -> dict[str, list[str]]:
    """Findings, and the combinations that have each."""
    seen: set[str] = set()
    found: dict[str, list[str]] = {}
    for combination, objects in rendered:
        own = [*schemas.faults(objects, seen), *findings(Manifests(objects, combination.components))]
        for finding in own:
            found.setdefault(finding, []).append(combination.name)
    return found


if __name__ == "__main__":
    sys.exit(main())
