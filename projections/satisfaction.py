"""Satisfaction: every csat and nps that the customer answered, with when and in which event.

All answers are kept and not the last ones alone, because "the last answer at t" must be exact for every t, also where
answers come late. One answer is a packed record (`projections.packing`) of 24 bytes, 32 characters: 7 bytes instant
(microseconds since 1970), 16 bytes event id, 4 bits csat (0: none) and 4 bits nps plus 1 (0: none). Records stand in
the order (occurred_at, event_id), so the last one counts.
"""

from __future__ import annotations

from binascii import a2b_base64
from struct import Struct
from typing import Any, Final, NamedTuple, TypedDict
from uuid import UUID

from customer_timeline.projections import packing
from customer_timeline.projections.instants import rfc3339
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.touchpoints.survey import SurveyAnswered

_WIDTH: Final = 32


class SatisfactionFacts(TypedDict, total=False):
    """What `facts->'satisfaction'` holds: {} before the first answer that carries a csat or an nps."""

    answers: str


class Answer(NamedTuple):
    """What one survey said: `csat` 1 to 5, `nps` 0 to 10, None where not asked or not answered."""

    at_us: int
    event_id: str
    csat: int | None
    nps: int | None


# A record without its event id: 8 bytes that begin with the instant, and the values.
_VALUES: Final = Struct(">Q15xB")
_LAST_FEW: Final = 4

Values = tuple[int, int | None, int | None]
"""Instant, csat and nps of an answer."""


def fold(satisfaction: SatisfactionFacts, event: DecodedEvent, data: SurveyAnswered) -> None:
    """Keep the values of one survey; a survey without either leaves nothing."""
    if data.csat is None and data.nps is None:
        return
    values = (data.csat or 0) << 4 | (0 if data.nps is None else data.nps + 1)
    record = event.occurred_us.to_bytes(7, "big") + UUID(event.event_id).bytes + bytes((values,))
    satisfaction["answers"] = packing.with_record(satisfaction.get("answers", ""), _WIDTH, record)


def combine(into: SatisfactionFacts, other: SatisfactionFacts) -> None:
    """Add the answers of other events."""
    if other:
        into["answers"] = packing.union(into.get("answers", ""), other["answers"], _WIDTH)


def answers(satisfaction: SatisfactionFacts) -> list[Answer]:
    """All answers, oldest first by (occurred_at, event_id)."""
    return [_read(record) for record in packing.split(satisfaction.get("answers", ""), _WIDTH)]


def values_since(satisfaction: SatisfactionFacts, us: int) -> list[Values]:
    """The values of the answers from an instant on, the latest first, without what it costs to name their events."""
    packed = satisfaction.get("answers", "")
    # Nearly every question is about the last few.
    start = len(packed) - _LAST_FEW * _WIDTH
    if start > 0 and packing.at(packed, _WIDTH, start // _WIDTH) >= (least := us.to_bytes(7, "big")):
        start = packing.position(packed, _WIDTH, least) * _WIDTH
    found = []
    for head, values in _VALUES.iter_unpack(a2b_base64(packed[max(start, 0) :])):
        at_us = head >> 8
        if at_us >= us:
            nps = values & 15
            found.append((at_us, values >> 4 or None, nps - 1 if nps else None))
    found.reverse()
    return found


def _read(record: bytes) -> Answer:
    csat, nps = record[23] >> 4, record[23] & 15
    at_us, event_id = int.from_bytes(record[:7], "big"), str(UUID(bytes=record[7:23]))
    return Answer(at_us, event_id, csat or None, nps - 1 if nps else None)


def describe(satisfaction: SatisfactionFacts) -> dict[str, Any]:
    """The last csat and the last nps, each `{"value", "at", "event_id"}` or None, and how many answers there are."""
    given = answers(satisfaction)
    shown: dict[str, Any] = {"answers": len(given)}
    for scale in ("csat", "nps"):
        last = next((answer for answer in reversed(given) if getattr(answer, scale) is not None), None)
        shown[scale] = last and {
            "value": getattr(last, scale),
            "at": rfc3339(last.at_us),
            "event_id": last.event_id,
        }
    return shown
