"""Results as JSON (everything) and as Markdown (what a reader wants to see)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

RESULTS = Path(__file__).resolve().parent / "results"
_PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "performance.md"
_AIMS = "Aims"
_BEGIN, _END = "<!-- figures: begin -->", "<!-- figures: end -->"

_MEMORY = "a replay's memory to that for a quarter of the log"

# What issue-sized aims say; a figure below its aim is shown as such, never hidden.
AIMS = {
    "one worker, events/s": 20_000,
    "one worker to (b)": 15.0,
    "one worker to (d)": 2.0,
    "one worker to (e)": 0.35,
    "two workers to one": 1.8,
    "10 % new links to steady": 0.8,
    "mixed catalogue to steady": 0.9,
    "all new identifiers, events/s": 7_000,
    "view, requests/s": 5_000,
    "rebuild to one live worker": 2.5,
    "replay to ndjson, records/s": 100_000,
    "replay to parquet, records/s": 60_000,
}
_AT_MOST = {
    "freshness p50 at 5,000/s, ms": 25.0,
    "freshness p99 at 5,000/s, ms": 75.0,
    "growth with customers": 1.25,
    "hardest identity to ordinary": 2.0,
    "reads that failed or mixed sets": 0.0,
    _MEMORY: 1.25,
}


Row = Sequence[object]
_COST = ("wall", "worker CPU", "Postgres CPU")


def _cost(found: Mapping[str, Any]) -> Row:
    return (found["wall_us"], found["worker_cpu_us"], found["postgres_cpu_us"])


# Key of the result, title, head, and how one entry becomes a row.
_TABLES: tuple[tuple[str, str, Sequence[str], Callable[[Mapping[str, Any]], Row]], ...] = (
    (
        "freshness",
        "From publishing to a readable row",
        ("rate", "p50 ms", "p99 ms", "events"),
        lambda found: (f"{found['rate']:,}/s", found["p50_ms"], found["p99_ms"], f"{found['events']:,}"),
    ),
    (
        "api",
        "API, two workers",
        ("request", "requests/s", "p50 ms", "p99 ms", "connections"),
        lambda found: (
            found["request"],
            f"{found['requests_per_s']:,}",
            found["p50_ms"],
            found["p99_ms"],
            found["connections"],
        ),
    ),
    (
        "by_customers",
        "Cost per event by number of customers, µs",
        ("customers", *_COST),
        lambda found: (f"{found['customers']:,}", *_cost(found)),
    ),
    (
        "by_history",
        "Cost per event by length of the customer's history, in batches of 50, µs",
        ("events before", *_COST),
        lambda found: (f"{found['events_before']:,}", *_cost(found)),
    ),
    (
        "rebuild",
        "A rebuild from the beginning of the log, by two processes for each core, indexes included",
        ("events", "one live worker, events/s", "rebuild, events/s", "to the worker", "after the last event, share"),
        lambda found: (
            f"{found['events']:,}",
            f"{found['worker_per_s']:,}",
            f"{found['rebuild_per_s']:,}",
            found["to_worker"],
            found["index_share"],
        ),
    ),
    (
        "switch",
        "Reads of the API while the view is built again, switched and switched back",
        ("", "s", "reads", "reads/s", "failed", "mixed", "sent late", "p50 ms", "p99 ms", "worst ms"),
        lambda found: (
            found["stretch"],
            found["seconds"],
            f"{found['reads']:,}",
            found["per_s"],
            found["failed"],
            found["mixed"] + found["of_the_other_set"],
            found["sent_late"],
            found["p50_ms"],
            found["p99_ms"],
            found["worst_ms"],
        ),
    ),
    (
        "replay",
        "A replay, by two processes, from its start to the finished output",
        (
            *("output", "records", "runs", "records/s", "range", "to a bare consumer"),
            *("CPU µs a record", "peak MB", "of a quarter, peak MB"),
        ),
        lambda found: (
            found["output"],
            f"{found['events']:,}",
            found["runs"],
            f"{found['records_per_s']:,}",
            f"{found['slowest']:,} to {found['fastest']:,}",
            found["to_bare"],
            found["cpu_us"],
            found["peak_mb"],
            found["quarter_peak_mb"],
        ),
    ),
    (
        "identity",
        "A batch where identity is hard",
        ("batch", "ms", "to the ordinary"),
        lambda found: (found["case"], found["batch_ms"], found["to_ordinary"]),
    ),
)


def write(name: str, result: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write `results/<name>.json` and `results/<name>.md`; returns both paths."""
    RESULTS.mkdir(exist_ok=True)
    data, page = RESULTS / f"{name}.json", RESULTS / f"{name}.md"
    data.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
    page.write_text(markdown(result), encoding="utf-8")
    return data, page


def publish_figures(result: Mapping[str, Any]) -> None:
    """Put the tables of `result` between the marks of docs/explanation/performance.md, in the place of those of before;
    tables of parts that were not measured stay.
    """
    text = _PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(_BEGIN)
    before, _, tail = rest.partition(_END)
    _PAGE.write_text(f"{head}{_BEGIN}\n\n{merged(before, markdown(result))}\n{_END}{tail}", encoding="utf-8")


def merged(before: str, now: str) -> str:
    """Two pages of tables as one: by title, and the table of aims row by row, what is new in the place of the old."""
    stood, came = _sections(before), _sections(now)
    if _AIMS in stood and _AIMS in came:
        rows = {line.split("|")[1]: line for part in (stood, came) for line in part[_AIMS].splitlines()[2:]}
        came[_AIMS] = "\n".join([*came[_AIMS].splitlines()[:2], *rows.values()])
    together = {**stood, **came}
    aims = together.pop(_AIMS, None)
    parts = [f"**{title}**\n\n{body}" if title else body for title, body in together.items()]
    return "\n\n".join([*parts, *([f"**{_AIMS}**\n\n{aims}"] if aims else [])]) + "\n"


def _sections(page: str) -> dict[str, str]:
    """Tables by title; under the empty one, what stands before the first."""
    first, *rest = re.split(r"^\*\*(.+)\*\*$", page, flags=re.MULTILINE)
    pairs = zip(rest[::2], rest[1::2], strict=True)
    return {"": first.strip(), **{title: body.strip() for title, body in pairs}}


def markdown(result: Mapping[str, Any]) -> str:
    """The tables of one result."""
    parts = [_machine(result["machine"], result["parameters"])]
    parts += [_throughput(scenario) for scenario in result.get("throughput", ())]
    parts += [
        _titled(title, head, [row(found) for found in result[key]])
        for key, title, head, row in _TABLES
        if key in result
    ]
    judged = verdicts(result)
    if judged:
        parts.append(_titled(_AIMS, ("figure", "aim", "reached", ""), judged))
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; all columns but the first to the right."""
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(["---", *["---:"] * (len(head) - 1)]) + "|"]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _titled(title: str, head: Sequence[str], rows: Iterable[Row]) -> str:
    return f"**{title}**\n\n{table(head, rows)}"


def _machine(machine: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    libraries = ", ".join(f"{name} {number}" for name, number in machine["libraries"].items())
    postgres = machine["postgres"]
    names = ("synchronous_commit", "fsync", "shared_buffers")
    settings = ", ".join(f"{name} {postgres[name]}" for name in names)
    return (
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gb']} GB, {machine['system']}, Python "
        f"{machine['python']}, PostgreSQL {postgres['server_version']} ({settings}); "
        f"{libraries}. {parameters['events']:,} events, {parameters['customers']:,} customers, "
        f"{parameters['repetitions']} runs each where a table says nothing else, the median is shown."
    )


def _throughput(scenario: Mapping[str, Any]) -> str:
    rates = {row["key"]: row["events_per_s"] for row in scenario["contenders"]}
    ours = rates.get("a1")
    rows = []
    for row in scenario["contenders"]:
        ratio = f"{ours / row['events_per_s']:.2f}" if ours else ""
        cells = (
            f"{row['events_per_s']:,.0f}",
            f"{row['slowest']:,} to {row['fastest']:,}",
            f"{row['cpu_s_per_million']:.1f}",
        )
        more = (f"{row['postgres_cpu_s_per_million']:.1f}", f"{row['peak_mb']:.0f}", ratio)
        rows.append((f"({row['key']}) {row['title']}", *cells, *more))
    head = (
        "",
        "events/s",
        "range",
        "CPU s per million",
        "Postgres CPU s per million",
        "peak MB",
        "(a1) is x times that",
    )
    return _titled(scenario["scenario"].capitalize(), head, rows)


def figures(result: Mapping[str, Any]) -> dict[str, float]:
    """The figures that have an aim, as far as they were measured."""
    found: dict[str, float] = {}
    rates = {
        s["scenario"]: {r["key"]: r["events_per_s"] for r in s["contenders"]} for s in result.get("throughput", ())
    }
    names = ("steady state", "10 % new links", "every event new identifiers", "mixed catalogue")
    steady, links, new, mixed = (rates.get(name, {}) for name in names)
    if "a1" in steady:
        found["one worker, events/s"] = steady["a1"]
        found |= {f"one worker to ({key})": steady["a1"] / steady[key] for key in ("b", "d", "e") if key in steady}
        if "a2" in steady:
            found["two workers to one"] = steady["a2"] / steady["a1"]
        if "a1" in links:
            found["10 % new links to steady"] = links["a1"] / steady["a1"]
        if "a1" in mixed:
            found["mixed catalogue to steady"] = mixed["a1"] / steady["a1"]
    if "a1" in new:
        found["all new identifiers, events/s"] = new["a1"]
    for row in result.get("freshness", ()):
        if row["rate"] == 5_000:
            found["freshness p50 at 5,000/s, ms"] = row["p50_ms"]
            found["freshness p99 at 5,000/s, ms"] = row["p99_ms"]
    views = [row["requests_per_s"] for row in result.get("api", ()) if row["request"] == "view"]
    if views:
        found["view, requests/s"] = views[0]
    costs = [row["wall_us"] for row in result.get("by_customers", ())]
    if len(costs) > 1:
        found["growth with customers"] = costs[-1] / costs[0]
    for row in result.get("rebuild", ()):
        found["rebuild to one live worker"] = row["to_worker"]
    for row in result.get("switch", ()):
        if row["stretch"] == "all":
            found["reads that failed or mixed sets"] = row["failed"] + row["mixed"] + row["of_the_other_set"]
    for row in result.get("replay", ()):
        found[f"replay to {row['output']}, records/s"] = row["records_per_s"]
        grown = row["peak_mb"] / row["quarter_peak_mb"]
        found[_MEMORY] = max(grown, found.get(_MEMORY, 0))
    hardest = [row["to_ordinary"] for row in result.get("identity", ())]
    if hardest:
        found["hardest identity to ordinary"] = max(hardest)
    return found


def verdicts(result: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """(figure, aim, reached, verdict) for every figure that was measured."""
    rows = []
    for name, reached in figures(result).items():
        low, high = AIMS.get(name), _AT_MOST.get(name)
        met = reached >= low if low is not None else high is not None and reached <= high
        aim = f"≥ {low:,g}" if low is not None else f"≤ {high:,g}"
        rows.append((name, aim, f"{reached:,.2f}" if reached < 100 else f"{reached:,.0f}", "met" if met else "not met"))
    return rows
