"""The alert rules and the dashboard ask for metrics that are exported, in PromQL that parses, and lead to the runbook.

Neither Prometheus nor Grafana runs here. Expressions are read by Prometheus' grammar (promql_parser), which also knows
its functions and the types of their arguments; names and labels are compared with what the real classes export.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser as promql
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from customer_timeline.api.config import PartitionLag
from customer_timeline.api.metrics import ApiMetrics
from customer_timeline.projections.dead_letters import StoredDeadLetters
from customer_timeline.projections.journal import Applied
from customer_timeline.streams.metrics import ProjectorMetrics

PREFIX = "customer_timeline_"
SEVERITIES = {"critical", "warning", "info"}
TEMPLATE_FUNCTIONS = {"humanize", "humanizeDuration", "humanizePercentage"}
# What Prometheus adds to every series, and the one metric that it makes itself.
SCRAPED_LABELS = {"job", "instance"}
JOBS = {"customer-timeline-worker", "customer-timeline-api"}


class Exported(NamedTuple):
    """What can be asked for: series with their labels, and families as the runbook names them."""

    series: dict[str, set[str]]
    families: set[str]


class Query(NamedTuple):
    """An expression and where it stands."""

    where: str
    expr: str


def _worker_text() -> str:
    registry = CollectorRegistry()
    metrics = ProjectorMetrics(registry)
    metrics.applied(Applied(1, 0, 0, {"not_json": 1}, 1, {"begun": 0.1}), 1)
    metrics.transitions.labels("churned").inc()
    for gauge in (metrics.lag_events, metrics.lag_seconds):
        gauge.labels(0).set(1)
    return generate_latest(registry).decode()


def _api_text() -> str:
    metrics = ApiMetrics()
    metrics.observe("GET", "/v1/customers/{ref}", 200, 0.001)
    metrics.waited("passed", 0.001)
    return metrics.exposition(
        (PartitionLag("touchpoints", 0, 1, 1.0),), StoredDeadLetters({"not_json": 1}, 8192)
    ).decode()


def _exported(text: str) -> Exported:
    series: dict[str, set[str]] = {}
    families = set()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith(PREFIX) and not sample.name.endswith("_created"):
                families.add(f"{family.name}_total" if family.type == "counter" else family.name)
                series.setdefault(sample.name, set()).update(sample.labels)
    return Exported(series, families)


@pytest.fixture(scope="module")
def exported() -> Exported:
    return _exported(_worker_text() + _api_text())


@pytest.fixture(scope="module")
def alerts(root: Path) -> list[dict[str, Any]]:
    loaded = yaml.safe_load((root / "deploy/prometheus/alerts.yml").read_text())
    return [rule for group in loaded["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def dashboard(root: Path) -> dict[str, Any]:
    loaded = json.loads((root / "deploy/grafana/customer-timeline.json").read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture(scope="module")
def shown(dashboard: dict[str, Any]) -> list[Query]:
    # Grafana puts in how far apart the points are; for the grammar any duration does.
    return [
        Query(panel["title"], target["expr"].replace("$__rate_interval", "5m"))
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


@pytest.fixture(scope="module")
def queries(alerts: list[dict[str, Any]], shown: list[Query]) -> list[Query]:
    return [*(Query(rule["alert"], rule["expr"]) for rule in alerts), *shown]


@pytest.fixture(scope="module")
def runbook(root: Path) -> str:
    return (root / "docs/how-to/runbook.md").read_text()


def _nodes(expr: promql.Expr) -> list[promql.Expr]:
    found: list[promql.Expr] = []

    def keep(node: promql.Expr) -> None:
        found.append(node)

    promql.walk(expr, pre_visit=keep)
    return found


def _selectors(query: Query) -> Iterator[promql.VectorSelector]:
    for node in _nodes(promql.parse(query.expr)):
        if isinstance(node, promql.MatrixSelector):
            yield node.vector_selector
        elif isinstance(node, promql.VectorSelector):
            yield node


def _names(query: Query) -> set[str]:
    return {selector.name or "" for selector in _selectors(query)}


def test_every_expression_is_promql(queries: list[Query]) -> None:
    wrong = []
    for query in queries:
        try:
            promql.parse(query.expr)
        except ValueError as error:
            wrong.append(f"{query.where}: {error}")
    assert wrong == []


@pytest.mark.parametrize("slip", ["sum(rate(x_total[5m])", "rat(x_total[5m])", "rate(x_total)", "sum by job (x)"])
def test_the_grammar_would_find_a_slip(slip: str) -> None:
    with pytest.raises(ValueError):
        promql.parse(slip)


def test_every_metric_asked_for_is_exported(queries: list[Query], exported: Exported) -> None:
    known = {*exported.series, "up"}
    assert {(query.where, name) for query in queries for name in _names(query) - known} == set()


def test_every_label_asked_for_is_one_of_the_metrics_own(queries: list[Query], exported: Exported) -> None:
    wrong = set()
    for query in queries:
        for selector in _selectors(query):
            labels = exported.series.get(selector.name or "", set()) | SCRAPED_LABELS
            wrong |= {(query.where, m.name) for m in selector.matchers.matchers if m.name not in labels}
    assert wrong == set()


def test_every_label_grouped_by_is_one_of_the_metrics_own(queries: list[Query], exported: Exported) -> None:
    wrong = set()
    for query in queries:
        for node in _nodes(promql.parse(query.expr)):
            if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
                inside = Query(query.where, str(node.expr))
                known = SCRAPED_LABELS.union(*(exported.series.get(name, set()) for name in _names(inside)))
                wrong |= {(query.where, label) for label in node.modifier.labels if label not in known}
    assert wrong == set()


def test_every_job_asked_for_is_one_that_the_runbook_scrapes(queries: list[Query], runbook: str) -> None:
    asked = {m.value for query in queries for s in _selectors(query) for m in s.matchers.matchers if m.name == "job"}
    assert asked == JOBS
    assert set(re.findall(r"job_name: (\S+)", runbook)) == JOBS


def test_every_alert_says_what_it_is_how_bad_and_where_to_read_on(alerts: list[dict[str, Any]]) -> None:
    assert len({rule["alert"] for rule in alerts}) == len(alerts) > 0
    for rule in alerts:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert rule["labels"].get("severity") in SEVERITIES, rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, rule["alert"]
        assert all(rule["annotations"].values()), rule["alert"]
        if "for" in rule:
            promql.parse_duration(rule["for"])


def test_alerts_speak_only_of_what_they_have(alerts: list[dict[str, Any]]) -> None:
    for rule in alerts:
        said = f"{rule['annotations']['summary']} {rule['annotations']['description']}"
        for inside in re.findall(r"\{\{(.*?)\}\}", said):
            value, _, function = (part.strip() for part in inside.partition("|"))
            assert not function or function in TEMPLATE_FUNCTIONS, rule["alert"]
            label = value.removeprefix("$labels.")
            assert value == "$value" or (label != value and re.search(rf"by \([^)]*\b{label}\b", rule["expr"])), value


def test_every_runbook_address_leads_to_the_alerts_own_section(alerts: list[dict[str, Any]], root: Path) -> None:
    for rule in alerts:
        page, _, fragment = rule["annotations"]["runbook_url"].partition("#")
        # The fragment of a heading is the heading in lower case (test_links.slug).
        assert fragment == rule["alert"].lower()
        assert f"### `{rule['alert']}`\n" in (root / page).read_text(), rule["alert"]


def test_the_runbook_has_a_section_for_every_metric_and_alert_and_no_other(
    runbook: str, alerts: list[dict[str, Any]], exported: Exported
) -> None:
    sections = re.findall(r"^### `(\w+)`$", runbook, re.MULTILINE)
    assert len(sections) == len(set(sections))
    assert set(sections) == exported.families | {rule["alert"] for rule in alerts}


def test_the_dashboard_shows_every_metric(shown: list[Query], exported: Exported) -> None:
    asked = {re.sub(r"_(bucket|sum|count)$", "", name) for query in shown for name in _names(query)}
    assert exported.families - asked == set()


def test_every_panel_is_explained_and_asks_the_chosen_data_source(dashboard: dict[str, Any]) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["datasource"]
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["description"]
            assert [source for source in (panel, *panel["targets"]) if source["datasource"] != chosen] == []
            references = [target["refId"] for target in panel["targets"]]
            assert len(references) == len(set(references))


def test_panels_lie_side_by_side(dashboard: dict[str, Any]) -> None:
    taken: dict[tuple[int, int], str] = {}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            assert x < 24, panel["title"]
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
