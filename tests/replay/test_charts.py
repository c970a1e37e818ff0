"""Pictures of answers: the shape of an answer says what is drawn, and what is drawn is a picture."""

from __future__ import annotations

import importlib
import io
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from PIL import Image

from customer_timeline.producers.errors import PackageMissing
from customer_timeline.runtime.replay import plotting
from customer_timeline.runtime.replay.charts import Chart, Kind, chart_of
from customer_timeline.runtime.replay.errors import NothingToDraw

MONTHS = tuple(datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3))
KNOWN = [
    ("known in February", MONTHS[1], Decimal("50.00")),
    ("known in February", MONTHS[0], Decimal("85.00")),
    ("known in March", MONTHS[0], Decimal("90.00")),
]


def test_two_labels_and_a_number_are_a_heat_map_with_gaps() -> None:
    assert chart_of(["known", "month", "revenue"], KNOWN) == Chart(
        Kind.HEAT_MAP,
        "month",
        "revenue",
        "known",
        MONTHS[:2],
        (("known in February", (85.0, 50.0)), ("known in March", (90.0, None))),
    )


def test_text_keeps_the_order_of_the_answer() -> None:
    rows = [("a", "Tue", 1), ("a", "Mon", 2), ("b", "Mon", 3)]
    assert chart_of(["who", "day", "n"], rows, Kind.BAR).xs == ("Tue", "Mon")


@pytest.mark.parametrize(
    ("names", "rows", "wanted"),
    [
        (
            ["month", "n"],
            [(MONTHS[0], 1), (MONTHS[1], 2)],
            Chart(Kind.LINE, "month", "n", None, MONTHS[:2], (("n", (1, 2)),)),
        ),
        (
            ["path", "n"],
            [("web", 1), (None, None)],
            Chart(Kind.BAR, "path", "n", None, ("web", None), (("n", (1, None)),)),
        ),
        (
            ["path", "n", "share"],
            [("web", 2, 0.5), ("shop", 2, 0.5)],
            Chart(Kind.BAR, "path", "", None, ("web", "shop"), (("n", (2, 2)), ("share", (0.5, 0.5)))),
        ),
        (["buyers", "again"], [(2, 1)], Chart(Kind.BAR, "", "", None, ("buyers", "again"), (("", (2, 1)),))),
    ],
    ids=["lines over time", "bars of text", "a series a column", "figures without a label"],
)
def test_a_label_and_its_numbers_are_lines_or_bars(names: list[str], rows: list[Any], wanted: Chart) -> None:
    assert chart_of(names, rows) == wanted


@pytest.mark.parametrize(
    ("names", "rows", "why"),
    [
        (["n"], [], "no rows"),
        (["path"], [("web",), ("shop",)], "one column"),
        (["n", "path"], [(1, "web"), (2, "shop")], "path holds no numbers"),
        (["path", "ok"], [("web", True), ("shop", False)], "ok holds no numbers"),
        (["path", "n"], [("web", None)], "n is empty"),
        (["a", "b", "n"], [(1, 2, 3), (1, 2, 4)], "several rows have the same a and b"),
        (["day", *(f"n{n}" for n in range(21))], [range(22)] * 2, "more than 20 series"),
    ],
)
def test_what_is_no_picture_is_told_why(names: list[str], rows: list[Any], why: str) -> None:
    with pytest.raises(NothingToDraw, match=why):
        chart_of(names, rows)


@pytest.mark.parametrize("kind", [Kind.BAR, Kind.LINE, Kind.HEAT_MAP])
def test_a_picture_has_its_size_and_is_not_blank(kind: Kind) -> None:
    drawn = plotting.png_of(chart_of(["known", "month $a$", "revenue"], KNOWN, kind))
    image = Image.open(io.BytesIO(drawn))
    assert (image.format, image.size) == ("PNG", plotting.SIZE)
    white = image.convert("L").histogram()[255] / (image.width * image.height)
    assert 0.05 < white < 0.99


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, plotting.__name__)
    with pytest.raises(PackageMissing, match=r"^Pictures need matplotlib.*pip install 'customer-timeline\[plots\]'$"):
        importlib.import_module(plotting.__name__)
