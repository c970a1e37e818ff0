"""What the benchmark of a switch counts: reads that failed, mixed two sets, or came from the wrong one."""

from __future__ import annotations

import orjson

from benchmarks.open_loop import Read, digest
from benchmarks.switch import Stretch, Told, essence, judged

LIVE, REBUILT = digest(b"one"), digest(b"two")
TOLD = Told([LIVE], [REBUILT])


def read(due_at: float, said: bytes, *, status: int = 200, takes_s: float = 0.002, late_s: float = 0.0) -> Read:
    return Read(0, due_at, due_at + late_s, due_at + late_s + takes_s, status, said)


def test_every_read_is_counted_once_in_its_stretch() -> None:
    before, during = Stretch("before", 0, 1, "live"), Stretch("during", 1, 2)
    reads = [
        read(0.1, LIVE),
        read(0.2, REBUILT),  # nobody had switched
        read(0.999, REBUILT),  # answered while it was switched: right
        read(1.1, LIVE),
        read(1.2, REBUILT, takes_s=0.4),
        read(1.3, digest(b"one and two")),
        read(1.4, b"", status=503),
        read(1.5, b"", status=0, late_s=0.02),
        read(2.5, LIVE),  # of no stretch
    ]
    rows = {row["stretch"]: row for row in judged(reads, TOLD, [before, during])}
    counted = ("reads", "failed", "mixed", "of_the_other_set", "sent_late", "worst_ms")
    assert [rows["before"][name] for name in counted] == [3, 0, 0, 1, 0, 2.0]
    assert [rows["during"][name] for name in counted] == [5, 2, 1, 0, 1, 400.0]
    assert [rows["all"][name] for name in counted] == [8, 2, 1, 1, 1, 400.0]


def test_stretches_of_one_name_are_one_row() -> None:
    stretches = [Stretch("turn", 0, 1), Stretch("rest", 1, 2, "rebuilt"), Stretch("turn", 2, 3)]
    rows = judged([read(0.5, LIVE), read(1.5, REBUILT), read(2.5, REBUILT)], TOLD, stretches)
    assert [(row["stretch"], row["seconds"], row["reads"]) for row in rows] == [
        ("turn", 2, 2),
        ("rest", 1, 1),
        ("all", 3, 3),
    ]


def test_of_a_list_only_its_customers_are_compared() -> None:
    def page(events: int, at: str) -> bytes:
        return orjson.dumps({"items": [{"customer_id": "a", "events": events, "since": at}], "at": at, "count": events})

    path = "/v1/customers?limit=100"
    assert essence(path, page(1, "now")) == essence(path, page(1, "later")) != essence(path, page(2, "now"))
    assert essence("/v1/customers/a", b"all of it") == b"all of it"
