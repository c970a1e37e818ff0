"""Why a worker refuses tables: what is wrong with them, and how to go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from customer_timeline.projections.journal import RefusedError

_MOST_NAMED: Final = 5
_LONGEST: Final = 60


def other_version(written: str, written_details: str, ours: str, our_details: str) -> RefusedError:
    """The tables were written by another projection version than this worker's. Details: what makes each, as JSON."""
    there, here = (dict(_settings(orjson.loads(text).get("considered", {}))) for text in (written_details, our_details))
    differs = [
        f"{name} {_said(there.get(name))} there, {_said(here.get(name))} here"
        for name in sorted(there.keys() | here.keys())
        if there.get(name) != here.get(name)
    ]
    more = f"; {len(differs) - _MOST_NAMED} more" if len(differs) > _MOST_NAMED else ""
    why = f" ({'; '.join(differs[:_MOST_NAMED])}{more})" if differs else ""
    return RefusedError(
        f"These tables were written by projection version {written}; this worker is {ours}{why}. A change of the fold, "
        f"or of identity or time settings, needs a rebuild: `customer-timeline rebuild start` with the new code and "
        f"settings fills a second set beside this one, and `customer-timeline rebuild switch` puts it in its "
        f"place; until then run this worker with the code and settings of before. Without need to serve "
        f"meanwhile: stop all workers and `customer-timeline projection reset`."
    )


def _settings(considered: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting by its whole name, such as `identity.kinds.phone.rank`."""
    for name, value in considered.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _said(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def topic_recreated(topic: str, topic_id: str, known_id: str) -> RefusedError:
    """The offsets in the tables are positions of a topic that is gone, under the same name."""
    return RefusedError(
        f"The topic {topic} was deleted and created again: its id is {topic_id}, the offsets in "
        f"Postgres belong to {known_id}. Positions of the old topic mean nothing in the new one. "
        f"Either restore the old log, or start over from the new one: "
        f"`customer-timeline projection reset`, then start the worker again."
    )
