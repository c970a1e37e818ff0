"""Charts as PNG. Needs matplotlib (extra `plots`); draws into memory, without a screen and without global state."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

from customer_timeline.producers.errors import PackageMissing
from customer_timeline.runtime.replay.charts import Chart, Kind, label

try:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
except ImportError as exc:
    raise PackageMissing("Pictures need matplotlib", "plots") from exc

SIZE: Final = (960, 540)
"""Width and height in pixels."""

_DPI: Final = 120
_MOST_TICKS: Final = 24
_MOST_WRITTEN: Final = 400  # cells of a heat map that have room for their numbers


def png_of(chart: Chart) -> bytes:
    """The picture, `SIZE` large."""
    figure = Figure(figsize=(SIZE[0] / _DPI, SIZE[1] / _DPI), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if chart.kind is Kind.HEAT_MAP:
        _heat_map(figure, axes, chart)
    else:
        (_lines if chart.kind is Kind.LINE else _bars)(axes, chart)
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
        _name(axes, chart.x, chart.y)
        if len(chart.series) > 1:
            axes.legend(title=chart.by, frameon=False, fontsize="small")
    written = io.BytesIO()
    figure.savefig(written, format="png", metadata={"Software": None})
    return written.getvalue()


def _lines(axes: Axes, chart: Chart) -> None:
    at: Sequence[Any] = chart.xs if chart.to_scale else range(len(chart.xs))
    for name, numbers in chart.series:
        axes.plot(at, [_or_gap(number) for number in numbers], marker="o", markersize=3, label=_plain(name))
    if not chart.to_scale:
        _ticks(axes, "x", chart.xs)


def _bars(axes: Axes, chart: Chart) -> None:
    width = 0.8 / len(chart.series)
    for place, (name, numbers) in enumerate(chart.series):
        at = [x - 0.4 + (place + 0.5) * width for x in range(len(chart.xs))]
        axes.bar(at, [number or 0.0 for number in numbers], width, label=_plain(name))
    _ticks(axes, "x", chart.xs)


def _heat_map(figure: Figure, axes: Axes, chart: Chart) -> None:
    cells = [[_or_gap(number) for number in numbers] for _, numbers in chart.series]
    image = axes.imshow(cells, cmap="Blues", aspect="auto")
    figure.colorbar(image, ax=axes, label=_plain(chart.y))
    _ticks(axes, "x", chart.xs)
    _ticks(axes, "y", [name for name, _ in chart.series])
    _name(axes, chart.x, chart.by or "")
    if len(cells) * len(chart.xs) > _MOST_WRITTEN:
        return
    least, most = image.get_clim()
    for row, numbers in enumerate(cells):
        for column, number in enumerate(numbers):
            if number == number:  # no gap
                dark = number > (least + most) / 2
                axes.text(column, row, f"{number:g}", ha="center", va="center", color="white" if dark else "black")


def _ticks(axes: Axes, which: str, values: Sequence[Any]) -> None:
    """Labels at whole numbers; of many only every second, third, and so on."""
    step = -(-len(values) // _MOST_TICKS)
    labels = [_plain(label(value)) for value in values[::step]]
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_ticks(range(0, len(values), step), labels=labels)
    if which == "x" and sum(map(len, labels)) > 90:
        for text in axes.get_xticklabels():
            text.set(rotation=45, ha="right", rotation_mode="anchor")


def _name(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(_plain(x))
    axes.set_ylabel(_plain(y))


def _or_gap(number: float | None) -> float:
    return float("nan") if number is None else number


def _plain(text: str) -> str:
    """As it stands: between two $ matplotlib would read a formula."""
    return text.replace("$", r"\$")
