"""Sums of money that do not depend on order: exact integers of 10^-6 units inside, decimal text outside.

Called by the folds of whatever carries money. Text, because JSON numbers above 2^53 lose digits in most readers and
orjson refuses integers above 64 bits; decimal text, because analysts cast it:
`(facts->'purchases'->…->>'gross')::numeric`.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Context, Decimal, Inexact

from customer_timeline.schemas.errors import CustomerTimelineError

DECIMAL_PLACES = 6
_SCALE = 10**DECIMAL_PLACES
_SCALE_DECIMAL = Decimal(_SCALE)

# Wider than any amount that the schema lets in; Inexact is trapped, so what does not fit raises instead of being
# rounded.
_EXACT = Context(prec=100, rounding=ROUND_DOWN, traps=[Inexact])

ZERO = "0.00"


class AmountNotRepresentable(CustomerTimelineError):  # noqa: N818 - the name of the domain
    """An amount has more than `DECIMAL_PLACES` decimals or is no number, so it cannot be summed exactly.

    The schema refuses such amounts when an event is decoded; meeting one here means that a fold was fed by something
    else.
    """


_TOO_FINE = f"an amount has more than {DECIMAL_PLACES} decimals or is no number: decode the event with the codec"


def to_units(amount: Decimal) -> int:
    """The amount in units of 10^-6, exactly. Raises AmountNotRepresentable rather than rounding."""
    if not amount.is_finite():
        raise AmountNotRepresentable(_TOO_FINE)
    try:
        scaled = _EXACT.multiply(amount, _SCALE_DECIMAL)
    except Inexact as exc:
        raise AmountNotRepresentable(_TOO_FINE) from exc
    units = int(scaled)
    if units != scaled:
        raise AmountNotRepresentable(_TOO_FINE)
    return units


def parse(text: str) -> int:
    """Units of 10^-6 of a text that `text_of` made."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(DECIMAL_PLACES, "0"))


def text_of(units: int) -> str:
    """Plain decimal text: no exponent, trailing zeros trimmed, but at least two decimals. One text per value."""
    cents, finer = divmod(units, _SCALE // 100)
    if finer == 0 and cents >= 0:  # nearly every amount there is
        return f"{cents // 100}.{cents % 100:02d}"
    whole, fraction = divmod(abs(units), _SCALE)
    decimals = f"{fraction:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if units < 0 else ''}{whole}.{decimals}"


def added(text: str, units: int) -> str:
    """The sum of a text and units, as text."""
    return text_of(parse(text) + units)


def summed(text: str, other: str) -> str:
    """The sum of two texts, as text."""
    return text_of(parse(text) + parse(other))


def difference(text: str, other: str) -> str:
    """`text` less `other`, as text."""
    return text_of(parse(text) - parse(other))
