"""Answers: what the reader found, as the bytes that go out, with their ETag. Pure.

Written with orjson and not through response models: validating what we built ourselves would cost more than the
query. The shapes are `api.models`.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from customer_timeline.api.cursors import encode_cursor
from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.projections.cuts import Past
from customer_timeline.projections.instants import rfc3339, rfc3339_or_none
from customer_timeline.projections.reading import CustomerRecord, Member, TimelineFilter, TimelinePage, TimelineRow

_NO_CUT: Final = b',"cut":null}'


class Answer(NamedTuple):
    """JSON and the hash of its content (hexadecimal).

    `weak`: the body also says when it was asked, which the hash leaves out.
    """

    body: bytes
    version: str
    weak: bool = False


def customer_answer(record: CustomerRecord, projection: CustomerProjection) -> Answer:
    """The view of one customer. Equal content is equal bytes, so `version` changes exactly when the content does."""
    facts = projection.initial() if record.facts is None else projection.decode(record.facts)
    content = orjson.dumps(customer_content(record.customer_id, record.members, facts, projection))
    version = content_hash(content)
    return Answer(content[:-1] + b',"version":"' + version.encode() + b'","cut":null}', version)


def customer_content(
    customer_id: str, members: Sequence[Member], facts: CustomerFacts, projection: CustomerProjection
) -> dict[str, Any]:
    """What the view of one customer says."""
    seen = facts.seen
    described = projection.describe(facts)
    return {
        "customer_id": customer_id,
        "former_ids": [m.identifier_id for m in members if m.identifier_id != customer_id],
        "identifiers": [
            {
                "kind": m.kind,
                "value": m.value,
                "first_seen_at": rfc3339_or_none(m.first_seen_us),
                "last_seen_at": rfc3339(seen[m.identifier_id][1]) if m.identifier_id in seen else None,
            }
            for m in members
        ],
        "profile": described["profile"],
        "activity": described["activity"],
        "purchases": described["purchases"],
    }


def timeline_answer(page: TimelinePage, wanted: TimelineFilter, past: Past | None = None) -> Answer:
    """One page of a timeline, of today or of the past."""
    cursor = encode_cursor(page.rows[-1].key, wanted, past) if page.more else None
    items = ",".join([_item(row) for row in page.rows])
    shown = "null" if cursor is None else f'"{cursor}"'
    body = f'{{"items":[{items}],"next_cursor":{shown},"cut":null}}'.encode()
    return Answer(body, content_hash(body))


def of_the_past(answer: Answer, past: Past, complete: bool | None) -> Answer:
    """The same answer, saying at which cut it was given and whether all that was recorded by then is applied."""
    cut = orjson.dumps(
        {
            "as_of": rfc3339_or_none(past.cut.as_of_us),
            "known_at": rfc3339_or_none(past.cut.known_at_us),
            "identity": past.who,
            "complete": complete,
        }
    )
    body = answer.body.removesuffix(_NO_CUT) + b',"cut":' + cut + b"}"
    return Answer(body, content_hash(answer.version.encode() + cut), weak=answer.weak)


def _item(row: TimelineRow) -> str:
    # The stored event is a JSON object with members (an envelope), so ours go in front of them; names cannot collide,
    # for attributes of a CloudEvent have no underscore and none is called position.
    position = "null" if row.offset is None else f'{{"partition":{row.partition},"offset":{row.offset}}}'
    return (
        f'{{"event_id":"{row.event_id}","recorded_at":"{rfc3339(row.recorded_us)}","position":{position},'
        f'"data_quality":{row.data_quality or "null"},{row.event[1:]}'
    )


def content_hash(content: bytes) -> str:
    """What an ETag is made of."""
    return blake2b(content, digest_size=16).hexdigest()
