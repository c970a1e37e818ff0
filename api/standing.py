"""How long a read waits for positions, and why it may not be answered before they are passed. Without FastAPI: commands
use it too.
"""

from __future__ import annotations

from typing import Any, Final

from customer_timeline.api.problems import BECAME_DEAD_LETTER, NOT_YET, POSITION_OF_ANOTHER_LOG, ProblemError
from customer_timeline.projections.progress import BecameDeadLetter, NotYet, OfAnotherLog, Standing, Verdict

DEFAULT_WAIT_S: Final = 2.0
# Well below the time-outs of proxies and clients, and no longer than a server that stops lets its requests go on.
MAX_WAIT_S: Final = 10.0

_RETRY_AFTER_S: Final = "1"


def problem_of(verdict: Verdict, topic: str, now_us: int) -> ProblemError | None:
    """Why a read may not be answered; None where it may. `now_us` is the present."""
    if isinstance(verdict, NotYet):
        behind = sum(standing.lag_events for standing in verdict.standings)
        return ProblemError(
            NOT_YET,
            f"The projector has {behind} records to apply before the positions asked for. Ask again later, or with a "
            "longer wait; if the number does not fall, see that a worker runs.",
            extra={"topic": topic, "positions": [_standing(standing, now_us) for standing in verdict.standings]},
            headers={"retry-after": _RETRY_AFTER_S},
        )
    if isinstance(verdict, BecameDeadLetter):
        return ProblemError(
            BECAME_DEAD_LETTER,
            "The log has the event, the views never will: mend it, publish it again, and use the new token. "
            "`customer-timeline dead-letters show` says what is wrong with it.",
            extra={"dead_letters": [{"topic": topic, **letter._asdict()} for letter in verdict.letters]},
        )
    if isinstance(verdict, OfAnotherLog):
        return ProblemError(
            POSITION_OF_ANOTHER_LOG,
            "The position token is not of the topic that the views are made from: it comes from another deployment, or "
            "the topic was deleted and created again since. Publish again and use the new token.",
            extra={"topic_id": verdict.topic_id},
        )
    return None


def _standing(standing: Standing, now_us: int) -> dict[str, Any]:
    # At most that long: everything that the partition had recorded until then is applied.
    waited_us = None if standing.passed_us is None else max(0, now_us - standing.passed_us)
    if not standing.lag_events:
        waited_us = 0
    return {
        "partition": standing.partition,
        "offset": standing.offset,
        "next_offset": standing.next_offset,
        "lag_events": standing.lag_events,
        "lag_seconds": None if waited_us is None else waited_us / 1_000_000,
    }
