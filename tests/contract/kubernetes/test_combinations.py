"""What `make check` does with every combination, done here with the overlays and with planted faults."""

from pathlib import Path

import pytest

from deploy.k8s.checks import __main__ as gate
from deploy.k8s.checks.rendering import K8S, OVERLAYS, CannotRender, Combination, combinations, render

ROOT = Path(__file__).parents[3]


def test_every_component_and_overlay_is_in_some_combination() -> None:
    chosen = combinations()
    components = {component for each in chosen for component in each.components}
    assert components == {path.parent.name for path in (K8S / "components").glob("*/kustomization.yaml")}
    assert set(OVERLAYS) == {path.parent.name for path in (K8S / "overlays").glob("*/kustomization.yaml")}
    assert len({each.name for each in chosen}) == len(chosen) > 50


def test_the_overlays_and_the_base_have_no_fault() -> None:
    chosen = [each for each in combinations() if each.overlay or not each.components]
    assert gate.faults_of([(each, render(each)) for each in chosen]) == {}


def test_a_fault_in_one_combination_is_said_with_its_name_and_ends_the_gate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base = combinations()[0]
    objects = render(base)
    planted = [{**each, "spec": {**each["spec"], "planted": 1}} for each in objects if each["kind"] == "Deployment"]
    monkeypatch.setattr(gate, "combinations", lambda: [base])
    monkeypatch.setattr(gate, "render", lambda _: [*objects, *planted[:1]])
    assert gate.main() == 1
    said = capsys.readouterr().err
    assert "'planted' was unexpected" in said
    assert "in base" in said


def test_what_cannot_be_rendered_is_said_and_ends_the_gate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = Combination("planted", ("no-such-component",))
    with pytest.raises(CannotRender, match="no-such-component"):
        render(missing)
    monkeypatch.setattr(gate, "combinations", lambda: [missing])
    assert gate.main() == 1
    assert "no-such-component" in capsys.readouterr().err


def test_make_check_runs_the_gate() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipe = makefile.partition("\nmanifests:")[2].partition("\n\n")[0]
    assert "$(BIN)/python -m deploy.k8s.checks" in recipe
    assert "check: setup manifests" in makefile
