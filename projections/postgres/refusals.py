"""Why a worker refuses tables: what is wrong with them, and how to go on."""

from __future__ import annotations

from customer_timeline.projections.journal import RefusedError


def other_version(written: str, written_details: str, ours: str, our_details: str) -> RefusedError:
    """The tables were written by another projection version than this worker's."""
    return RefusedError(
        f"These tables were written by projection version {written} ({written_details}); this worker is "
        f"{ours} ({our_details}). A change of the fold, or of "
        f"identity or time settings, needs a rebuild: `customer-timeline rebuild start` with the new code and "
        f"settings fills a second set beside this one, and `customer-timeline rebuild switch` puts it in its "
        f"place; until then run this worker with the code and settings of before. Without need to serve "
        f"meanwhile: stop all workers and `customer-timeline projection reset`."
    )


def topic_recreated(topic: str, topic_id: str, known_id: str) -> RefusedError:
    """The offsets in the tables are positions of a topic that is gone, under the same name."""
    return RefusedError(
        f"The topic {topic} was deleted and created again: its id is {topic_id}, the offsets in "
        f"Postgres belong to {known_id}. Positions of the old topic mean nothing in the new one. "
        f"Either restore the old log, or start over from the new one: "
        f"`customer-timeline projection reset`, then start the worker again."
    )
