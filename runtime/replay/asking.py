"""From the options of the command to the question of a replay."""

from __future__ import annotations

from contextlib import closing

from pydantic import TypeAdapter, ValidationError

from customer_timeline.projections.postgres.anchors import anchors_of
from customer_timeline.projections.selection import Selection
from customer_timeline.runtime import wiring
from customer_timeline.runtime.asking import InvalidOptionsError
from customer_timeline.runtime.settings import Settings


def selection_of(
    settings: Settings,
    *,
    from_: str | None,
    until: str | None,
    occurred_from: str | None,
    occurred_until: str | None,
    type_: str | None,
    channel: str | None,
    customer: str | None,
) -> Selection:
    """The selection that the options ask for. Raises InvalidOptionsError, and UnknownCustomerError for --customer."""
    chosen = Selection(
        from_us=_instant("--from", from_),
        until_us=_instant("--until", until),
        occurred_from_us=_instant("--occurred-from", occurred_from),
        occurred_until_us=_instant("--occurred-until", occurred_until),
        type=_type(type_),
        channel=_channel(settings, channel),
        anchors=None if customer is None else _anchors(settings, customer),
    )
    for first, end, name in (
        (chosen.from_us, chosen.until_us, "--until must be later than --from"),
        (chosen.occurred_from_us, chosen.occurred_until_us, "--occurred-until must be later than --occurred-from"),
    ):
        if first is not None and end is not None and first >= end:
            raise InvalidOptionsError(f"Not valid: {name}.")
    return chosen


def _type(asked: str | None) -> str | None:
    """A type that exists: with its version, without, or a family. A misspelt one would give an empty file."""
    from customer_timeline.projections.selection import is_of_type
    from customer_timeline.schemas.catalogue import CATALOGUE

    if asked is not None and not any(is_of_type(name, asked) for name in CATALOGUE):
        raise InvalidOptionsError("Not valid: --type: no such type; `customer-timeline schema list` shows them.")
    return asked


def _channel(settings: Settings, asked: str | None) -> str | None:
    """A channel that there is, for the same reason."""
    known = wiring.codec(settings).channels
    if asked is not None and asked not in known:
        raise InvalidOptionsError(
            f"Not valid: --channel: expected one of {', '.join(sorted(known))} (more by the setting extra_channels)."
        )
    return asked


def _instant(option: str, text: str | None) -> int | None:
    from customer_timeline.api.parameters import Instant

    try:
        return None if text is None else TypeAdapter[int](Instant).validate_python(text)
    except ValidationError as exc:
        told = exc.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise InvalidOptionsError(f"Not valid: {option}: {told}.") from exc


def _anchors(settings: Settings, reference: str) -> frozenset[str]:
    from customer_timeline.api.answering import UnknownCustomerError
    from customer_timeline.api.references import identifier_id_of

    identifier_id = identifier_id_of(reference, wiring.identifier_space(settings))
    with closing(wiring.connect(settings, application="customer-timeline replay")) as connection:
        found = anchors_of(connection, identifier_id)
    if not found:
        raise UnknownCustomerError(at_a_cut=False)
    return found
