"""Which events a replay gives: cuts by the two times, and filters. Pure; `runtime.replay` asks it for every event.

The cut by recorded time decides which records compete for being the event, as `known_at` does. Everything else is
asked of the record that won.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from customer_timeline.schemas.decoded import DecodedEvent, to_micros

RETRACTION: Final = "event.retracted"


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for; None = no cut. Instants in microseconds; `until` bounds are exclusive.

    `type` with its version (`purchase.completed.v1`), without, or the family alone (`purchase`). `types`: what a
    projection handles. `anchors`: the ids that the wanted customer's events stand at.
    """

    from_us: int | None = None
    until_us: int | None = None
    occurred_from_us: int | None = None
    occurred_until_us: int | None = None
    type: str | None = None
    channel: str | None = None
    types: frozenset[str] | None = None
    anchors: frozenset[str] | None = None

    def competes(self, recorded_us: int) -> bool:
        """The record had been recorded by the cut, so it has a say in which record is the event."""
        return self.until_us is None or recorded_us < self.until_us

    def wants(self, event: DecodedEvent) -> bool:
        """The event, where this record is the one that counts, is asked for. Retractions never are."""
        return not is_retraction(event) and self._recorded_in_time(event) and self._fits(event)

    def wants_record(self, event: DecodedEvent) -> bool:
        """The record is asked for as it stands in the log, whatever counts."""
        recorded_us = to_micros(event.recorded_at)
        return self.competes(recorded_us) and self._recorded_in_time(event) and self._fits(event)

    @property
    def asks_for_content(self) -> bool:
        """What is no event cannot be asked for with this: a cut or filter looks inside the event."""
        asked = (self.occurred_from_us, self.occurred_until_us, self.type, self.channel, self.types, self.anchors)
        return any(one is not None for one in asked)

    def recorded_within(self, recorded_us: int) -> bool:
        """Recorded at `from` or later, and before `until`."""
        return (self.from_us is None or recorded_us >= self.from_us) and self.competes(recorded_us)

    def _recorded_in_time(self, event: DecodedEvent) -> bool:
        return self.from_us is None or to_micros(event.recorded_at) >= self.from_us

    def _fits(self, event: DecodedEvent) -> bool:
        return (
            (self.occurred_from_us is None or event.occurred_us >= self.occurred_from_us)
            and (self.occurred_until_us is None or event.occurred_us < self.occurred_until_us)
            and (self.types is None or event.type in self.types)
            and (self.type is None or is_of_type(event.type, self.type))
            and (self.channel is None or event.channel == self.channel)
            and (self.anchors is None or event.anchor_id in self.anchors)
        )


def is_retraction(event: DecodedEvent) -> bool:
    """The record takes its event back."""
    return event.type.startswith(RETRACTION)


def is_of_type(type_name: str, asked: str) -> bool:
    """`purchase.completed.v1` is of that type, of `purchase.completed` and of `purchase`."""
    return type_name == asked or (type_name.startswith(asked) and type_name[len(asked)] == ".")
