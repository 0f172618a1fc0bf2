"""Alert rules do what they say, each has its runbook page, and dashboards can be loaded."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml
from typer.core import TyperGroup

from radrelay_local.cli import app
from support import promql
from support.promtool import promtool
from support.sinks import SCRAPED

RUNBOOKS = Path("docs/runbooks")
SECTIONS = ["What it means", "How to see it", "What to do"]


def test_the_unit_tests_of_the_rules_pass() -> None:
    ran = promtool("test", "rules", *sorted((promql.FOLDER / "tests").glob("*.yaml")))
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("alerts.yaml", "radrelay_outbox_oldest_age_seconds) > 60", "radrelay_outbox_oldest_age_seconds) > 600"),
        ("alerts.yaml", 'lane="stat"}) > 300', 'lane="stat"}) > 30'),
        ("objectives.yaml", "slo:error_ratio:5m > 14.4", "slo:error_ratio:5m > 0 *"),
        ("objectives.yaml", 'le="60.0"', 'le="30.0"'),
    ],
)
def test_the_unit_tests_of_the_rules_find_a_rule_that_is_wrong(
    file: str, right: str, wrong: str, tmp_path: Path
) -> None:
    shutil.copytree(promql.FOLDER, tmp_path, dirs_exist_ok=True)
    rules = tmp_path / "rules" / file
    assert right in rules.read_text()
    rules.write_text(rules.read_text().replace(right, wrong))
    ran = promtool("test", "rules", tmp_path / "tests" / file)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "FAILED" in ran.stdout + ran.stderr


def test_every_alert_is_tested_to_fire() -> None:
    tested = {
        each["alertname"]
        for path in (promql.FOLDER / "tests").glob("*.yaml")
        for case in yaml.safe_load(path.read_text())["tests"]
        for each in case["alert_rule_test"]
        if each.get("exp_alerts")
    }
    assert tested == promql.alerts().keys()


def test_alerts_and_runbook_pages_belong_together() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == promql.alerts().keys()
    for name, alert in promql.alerts().items():
        assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
        assert alert["labels"]["severity"] in {"page", "ticket"}
        page = (RUNBOOKS / f"{name}.md").read_text()
        assert page.startswith(f"# {name}\n")
        assert re.findall(r"^## (.+)$", page, re.MULTILINE) == SECTIONS


def test_the_commands_and_metrics_in_runbook_pages_are_there() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    metrics = {name for name, _ in promql.documented_metrics()}
    for path in RUNBOOKS.glob("*.md"):
        page = path.read_text()
        for name, sub in re.findall(r"\bradrelay ([a-z]+)(?: ([a-z]+))?", page.replace("-n radrelay", "")):
            command = root.commands[name]
            assert not isinstance(command, TyperGroup) or sub in command.commands, (path, name, sub)
        for metric in re.findall(r"\bradrelay_\w+", page):
            assert re.sub(r"_(bucket|count|sum)$", "", metric) in metrics, (path, metric)


def test_dashboards_can_be_loaded_and_leave_the_data_source_to_whoever_looks() -> None:
    boards = promql.dashboards()
    assert len({board["uid"] for board in boards.values()}) == len(boards)
    for board in boards.values():
        assert [each["name"] for each in board["templating"]["list"] if each["type"] == "datasource"] == ["datasource"]
        panels = board["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        for panel in panels:
            assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
            sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
            assert all(source["uid"] == "${datasource}" for source in sources)


def test_every_dashboard_is_in_the_kubernetes_component() -> None:
    component = yaml.safe_load((promql.FOLDER / "kustomization.yaml").read_text())
    (generated,) = component["configMapGenerator"]
    assert sorted(generated["files"]) == [f"dashboards/{name}" for name in promql.dashboards()]
    assert generated["options"]["labels"]["grafana_dashboard"] == "1"


def test_prometheus_scrapes_every_process_that_has_metrics_by_its_name() -> None:
    settings = yaml.safe_load((promql.FOLDER / "prometheus.yaml").read_text())
    jobs = {each["job_name"]: each["static_configs"][0]["targets"] for each in settings["scrape_configs"]}
    assert jobs.keys() == SCRAPED.keys()
    assert all(target.startswith(f"{job}:") for job, (target,) in jobs.items())


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "radrelay_local.prometheus_rules", "--check", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_committed_objects_for_kubernetes_are_what_the_rules_say(tmp_path: Path) -> None:
    assert check(promql.FOLDER).returncode == 0
    shutil.copytree(promql.FOLDER, tmp_path, dirs_exist_ok=True)
    rules = tmp_path / "rules" / "alerts.yaml"
    rules.write_text(rules.read_text().replace("> 300", "> 301"))
    stale = check(tmp_path)
    assert stale.returncode == 1
    assert "make observability" in stale.stderr
