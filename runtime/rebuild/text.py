"""What the commands `rebuild …` say, as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from customer_timeline.projections.view_comparison import Sample, TableComparison
from customer_timeline.runtime.rebuild.filling import Progress
from customer_timeline.runtime.rebuild.making import in_megabytes
from customer_timeline.runtime.rebuild.sets import SetStatus
from customer_timeline.runtime.rebuild.switching import behind
from customer_timeline.runtime.rebuild.verifying import Comparison

_LONGEST = 120


def status_lines(found: Sequence[SetStatus]) -> Iterator[str]:
    """A few lines for each set."""
    live = next((one for one in found if one.role == "live"), None)
    for one in found:
        yield f"{one.role:<8} {one.schema}, set {one.set_id[:8]}, {in_megabytes(one.size)}"
        yield f"         projection {one.projection_version or '(no worker has written yet)'}"
        positions = ", ".join(f"{part} at {at:,}" for part, at in one.positions.items()) or "none yet"
        lag = f"; {behind(one, live):,} behind the live set" if live is not None and one is not live else ""
        yield f"         partitions {positions}{lag}"
        held = ", ".join(map(str, one.workers))
        yield f"         followed by workers ({held})" if held else "         followed by nobody"
        if one.role == "rebuild":
            yield f"         {_standing(one)}"


def _standing(one: SetStatus) -> str:
    if not one.filled or one.absent_indexes:
        return f"being filled; {one.absent_indexes} indexes are still to be made"
    if one.verified is None:
        return "filled; not verified yet"
    verdict = "equal" if one.verified.get("equal") else "as another version" if one.verified.get("ok") else "DIFFERENT"
    return f"filled; verified at {one.verified.get('at')}: {verdict}"


def progress_text(progress: Progress) -> str:
    """One line, for a terminal."""
    if progress.rate is None:
        return f"{progress.phase}: {progress.applied:,} of {progress.end:,}"
    left = progress.left_s
    eta = "" if left is None else f", {int(left) // 60}:{int(left) % 60:02} left"
    return f"{progress.phase}: {progress.applied:,} of {progress.end:,}, {progress.rate:,.0f} a second{eta}"


def comparison_text(found: Comparison) -> str:
    """What a verification found. Samples show what rows say, which is personal."""
    return "\n".join(_comparison_lines(found))


def _comparison_lines(found: Comparison) -> Iterator[str]:
    for one in found.tables:
        differs = (
            f"{one.differs:,} rows differ" if one.differs else "equal but for what healed" if one.healed else "equal"
        )
        yield f"{one.table:<12} {one.first.rows:>12,} rows  {one.second.rows:>12,} rebuilt  {differs}"
        yield from _table_lines(one)
    if found.healed.records:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(found.healed.reasons.items()))
        yield f"healed       {found.healed.records:,} records that only this version accepts ({reasons})"
        for sample in found.healed.samples:
            yield f"    {sample['record']}  {sample['reason']}  event {sample['event_id']}"
    positions = ", ".join(f"{part} at {at:,}" for part, at in sorted(found.positions.items()))
    yield f"Compared at the positions of one snapshot of the live set: {positions}."
    if not found.same_version:
        yield f"The live set is of projection {found.versions[0]}, the rebuild of {found.versions[1]}."
    yield _verdict(found)


def _table_lines(one: TableComparison) -> Iterator[str]:
    for count, what in ((one.missing, "are not in the rebuild"), (one.additional, "are only in the rebuild")):
        if count:
            yield f"    {count:,} {what}"
    for column, count in sorted(one.columns.items()):
        yield f"    {column} differs in {count:,}"
    for sample in one.samples:
        yield f"      {_sample_text(sample)}"


def _sample_text(sample: Sample) -> str:
    key = " ".join(str(value) for value in sample.key.values())
    columns = "; ".join(f"{name}: {_cut(before)} -> {_cut(after)}" for name, (before, after) in sample.columns.items())
    return f"{sample.kind} {key} {columns}".rstrip()


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _verdict(found: Comparison) -> str:
    if found.equal:
        return "The rebuild is equal to the live set."
    if found.ok:
        return "The rebuild differs, as another version may: look through what differs before you switch."
    return "The rebuild is NOT equal to the live set."
