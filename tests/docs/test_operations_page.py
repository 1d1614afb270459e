"""What docs/operations.md and the dashboard say of metrics is what the code has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.observe.metrics.definitions import METRICS, PARTS
from fishjam_agents.worker.metrics import METRICS as PROGRAM
from tests.docs.metric_tables import CALLS_HEAD, PAGE, PROGRAM_HEAD, calls_table, program_table, written
from tests.docs.test_documents import blocks

ROOT = Path(__file__).parents[2]
TEXT = PAGE.read_text(encoding="utf-8")
NAME = re.compile(r"fishjam_agents_\w+")


def series() -> dict[str, set[str]]:
    """Every name that Prometheus has of us, with the labels of its samples."""
    found: dict[str, set[str]] = {name: {*metric.labels, "process"} for name, metric in PROGRAM.items()}
    for metric in METRICS:
        labels = {*metric.labels, "process"}
        if metric.kind == "histogram":
            found[f"{metric.full_name}_bucket"] = labels | {"le"}
            found[f"{metric.full_name}_sum"] = found[f"{metric.full_name}_count"] = labels
        else:
            found[metric.full_name] = labels
    return found


def verify(expression: str) -> None:
    """An expression asks for series that there are, and groups them by labels that they have."""
    known = series()
    names = NAME.findall(expression)
    assert names
    assert set(names) <= known.keys(), expression
    labels = set[str]().union(*(known[name] for name in names)) | {"instance", ""}
    for group in re.findall(r"by \(([^)]*)\)", expression):
        assert {label.strip() for label in group.split(",")} <= labels, expression
    for name, chosen in re.findall(r"(fishjam_agents_\w+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)(?:=|!)", chosen)) <= known[name], expression


def test_the_tables_of_metrics_are_those_of_the_code() -> None:
    assert written(TEXT, CALLS_HEAD) == calls_table(), "run make events"
    assert written(TEXT, PROGRAM_HEAD) == program_table(), "run make events"


def test_parts_of_an_answer_are_named_in_the_help_of_their_metric() -> None:
    (metric,) = [metric for metric in METRICS if "part" in metric.labels]
    assert all(part in metric.help for part in PARTS)


def test_alerts_ask_for_metrics_that_there_are() -> None:
    (text,) = [block for block in blocks(TEXT, "yaml") if block.startswith("groups:")]
    rules = yaml.safe_load(text)["groups"][0]["rules"]
    assert len(rules) >= 5
    for rule in rules:
        verify(rule["expr"])


def test_the_dashboard_asks_for_metrics_that_there_are_and_shows_each_of_them() -> None:
    dashboard: Any = json.loads((ROOT / "examples" / "worker" / "grafana.json").read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    for expression in expressions:
        verify(expression)
    shown = {name for expression in expressions for name in NAME.findall(expression)}
    for metric in METRICS:
        assert any(name.startswith(metric.full_name) for name in shown), metric.full_name
    for name, counted in PROGRAM.items():
        assert not counted.labels or name in shown, name
    variable = dashboard["templating"]["list"][1]["query"]["query"]
    assert set(NAME.findall(variable)) <= series().keys()
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def unread(written: Any, read: Any, path: str = "dashboard") -> list[str]:
    """Parts of what is written that did not arrive."""
    if isinstance(written, dict):
        if not isinstance(read, dict):
            return [path]
        found = [f"{path}.{key}" for key in written.keys() - read.keys()]
        return found + [
            part
            for key in written.keys() & read.keys()
            for part in unread(written[key], read[key], f"{path}.{key}")
        ]
    if isinstance(written, list):
        if not isinstance(read, list) or len(written) != len(read):
            return [path]
        pairs = enumerate(zip(written, read, strict=True))
        return [part for index, (one, other) in pairs for part in unread(one, other, f"{path}[{index}]")]
    return [] if written == read else [path]


def test_the_dashboard_is_one_by_the_schema_that_grafana_publishes() -> None:
    pytest.importorskip("grafana_foundation_sdk", reason="the schema of Grafana is not installed")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard
    from grafana_foundation_sdk.models.prometheus import Dataquery

    register_default_plugins()
    written: Any = json.loads((ROOT / "examples" / "worker" / "grafana.json").read_text(encoding="utf-8"))
    dashboard = Dashboard.from_json(written)
    # What the schema does not know is not read.
    assert unread(written, json.loads(JSONEncoder().encode(dashboard))) == []
    assert all(isinstance(target, Dataquery) for panel in dashboard.panels for target in panel.targets)
    written["panels"][0]["fieldConfig"]["defaults"]["untis"] = "s"
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(written)))
    assert unread(written, again) == ["dashboard.panels[0].fieldConfig.defaults.untis"]


def bot_of_the_page(name: str) -> Any:
    names: dict[str, Any] = {}
    (code,) = [code for code in blocks(TEXT, "python") if f"class {name}(" in code]
    exec(code, names)
    return names[name]()


def test_the_bot_of_the_page_takes_the_load_as_calls_tell_it() -> None:
    bot = bot_of_the_page("Careful")
    bot.backend = Parrot()
    bot.verify()


def test_the_redaction_of_the_page_hides_a_card() -> None:
    bot = bot_of_the_page("Cashier")
    bot.backend = Parrot()
    bot.verify()
    assert bot.redact("it is 4111 1111 1111 1111, born 1987") == "it is [card], born 1987"
