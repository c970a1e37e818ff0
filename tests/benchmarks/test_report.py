"""The report shows a figure below its aim as such."""

from __future__ import annotations

from typing import Any

from benchmarks.report import figures, markdown, merged, verdicts


def contender(key: str, rate: float) -> dict[str, Any]:
    zero = {"cpu_s_per_million": 1.0, "postgres_cpu_s_per_million": 1.0, "peak_mb": 1.0, "slowest": 1, "fastest": 2}
    return {"key": key, "title": key, "events_per_s": rate, **zero}


RESULT: dict[str, Any] = {
    "machine": {
        "cores": 2,
        "processor": "x",
        "memory_gb": 4,
        "system": "Linux",
        "python": "3.11",
        "postgres": {"server_version": "18", "synchronous_commit": "on", "fsync": "on", "shared_buffers": "128MB"},
        "libraries": {"orjson": "3"},
    },
    "parameters": {"events": 10, "customers": 5, "repetitions": 1},
    "throughput": [
        {
            "scenario": "steady state",
            "contenders": [contender("a1", 24_000), contender("a2", 36_000), contender("d", 16_000)],
        },
        {"scenario": "10 % new links", "contenders": [contender("a1", 12_000)]},
        {"scenario": "mixed catalogue", "contenders": [contender("a1", 21_600), contender("a2", 40_000)]},
    ],
    "freshness": [{"rate": 5_000, "p50_ms": 20.0, "p99_ms": 80.0, "events": 10}],
    "by_customers": [
        {"customers": 1_000, "wall_us": 40.0, "worker_cpu_us": 30.0, "postgres_cpu_us": 20.0},
        {"customers": 100_000, "wall_us": 48.0, "worker_cpu_us": 30.0, "postgres_cpu_us": 20.0},
    ],
    "replay": [
        {
            "output": "ndjson",
            "events": 9,
            "runs": 3,
            "records_per_s": 120_000,
            "slowest": 110_000,
            "fastest": 130_000,
            "to_bare": 0.3,
            "cpu_us": 9.0,
            "peak_mb": 300,
            "quarter_peak_mb": 300,
        },
        {
            "output": "parquet",
            "events": 9,
            "runs": 3,
            "records_per_s": 50_000,
            "slowest": 40_000,
            "fastest": 60_000,
            "to_bare": 0.1,
            "cpu_us": 9.0,
            "peak_mb": 300,
            "quarter_peak_mb": 200,
        },
    ],
    "identity": [
        {"case": "ordinary", "batch_ms": 200.0, "to_ordinary": 1.0},
        {"case": "a shared value in every event", "batch_ms": 440.0, "to_ordinary": 2.2},
    ],
}


def test_figures_are_ratios_of_the_contenders() -> None:
    found = figures(RESULT)
    assert found["one worker to (d)"] == 1.5  # 24,000 / 16,000
    assert found["two workers to one"] == 1.5  # 36,000 / 24,000
    assert found["10 % new links to steady"] == 0.5  # 12,000 / 24,000
    assert found["mixed catalogue to steady"] == 0.9  # 21,600 / 24,000
    assert found["growth with customers"] == 1.2  # 48 / 40
    assert found["a replay's memory to that for a quarter of the log"] == 1.5  # 300 / 200, the greater of the two
    assert "one worker to (b)" not in found


def test_what_misses_its_aim_is_said_to() -> None:
    judged = {name: verdict for name, _aim, _reached, verdict in verdicts(RESULT)}
    assert judged["one worker, events/s"] == "met"
    assert judged["one worker to (d)"] == "not met"
    assert judged["mixed catalogue to steady"] == "met"
    assert judged["replay to ndjson, records/s"] == "met"
    assert judged["replay to parquet, records/s"] == "not met"
    assert judged["freshness p50 at 5,000/s, ms"] == "met"
    assert judged["freshness p99 at 5,000/s, ms"] == "not met"
    assert judged["growth with customers"] == "met"
    assert judged["hardest identity to ordinary"] == "not met"


def test_the_page_shows_how_many_times_faster_than_each_peer() -> None:
    assert "| a shared value in every event | 440.0 | 2.2 |" in markdown(RESULT)
    assert "| (d) d | 16,000 | 1 to 2 | 1.0 | 1.0 | 1 | 1.50 |" in markdown(RESULT)


def test_a_part_that_is_measured_again_takes_the_place_of_its_tables_and_the_others_stay() -> None:
    again = {key: RESULT[key] for key in ("machine", "parameters")}
    again["freshness"] = [{"rate": 5_000, "p50_ms": 30.0, "p99_ms": 70.0, "events": 10}]
    page = merged(markdown(RESULT), markdown(again))
    assert "| 5,000/s | 30.0 | 70.0 | 10 |" in page
    assert "| 5,000/s | 20.0 |" not in page
    assert page.count("**Aims**") == 1
    assert "| freshness p50 at 5,000/s, ms | ≤ 25 | 30.00 | not met |" in page
    assert "| freshness p99 at 5,000/s, ms | ≤ 75 | 70.00 | met |" in page
    assert "| one worker, events/s | ≥ 20,000 | 24,000 | met |" in page
    assert "**Steady state**" in page
    assert merged(page, markdown(again)) == page
