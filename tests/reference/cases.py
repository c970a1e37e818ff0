"""Small histories with their outcome worked out by hand: who is one customer, which links are refused, whose a thing
is.

The reference model is tested with them, and so is the product's identity. Names are short on purpose:
`identifier("email:ann")` gets an id that sorts by value, then kind, so ties by id can be read off the page; event ids
sort by name. Times are whole seconds, and a fact's place in the list means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from reference.identity_model import Decided, Seen

from customer_timeline.schemas.decoded import Identifier, Thing
from customer_timeline.schemas.identity_policy import IdentityPolicy, KindPolicy

SECOND = 1_000_000
POLICY = IdentityPolicy()
TIGHT = IdentityPolicy(
    kinds={
        **POLICY.kinds,
        "phone": KindPolicy(rank=40, share_limit=2),
        "email": KindPolicy(rank=50, max_per_customer=2),
        "device_id": KindPolicy(rank=20, links=False),
        "user_id": KindPolicy(rank=100, max_per_customer=1),  # as strong as a member_id
    }
)


def spelled_id(text: str) -> str:
    """A UUID that sorts as `text` does (the first 16 bytes)."""
    return str(UUID(bytes=text.encode().ljust(16, b"\0")[:16]))


def identifier(text: str) -> Identifier:
    """`email:ann`; the id sorts by value, then kind. `open_id:x:7` is value 7 of kind `open_id:x`."""
    kind, _, value = text.rpartition(":")
    return Identifier(spelled_id(f"{value}-{kind}"), kind, value)


def thing(text: str) -> Thing:
    """`order:1`."""
    kind, _, value = text.rpartition(":")
    return Thing(spelled_id(f"{value}~{kind}"), kind, value)


def seen(name: str, at: int, who: str = "", things: str = "", *, counts: bool = True) -> Seen:
    """A touchpoint `name` at second `at` that names the identifiers `who` and the things, each separated by blanks."""
    return Seen(
        spelled_id(name),
        at * SECOND,
        tuple(identifier(text) for text in who.split()),
        tuple(thing(text) for text in things.split()),
        counts,
    )


def linked(name: str, at: int, a: str, b: str, *, counts: bool = True) -> Decided:
    """An operator says: one customer."""
    return Decided(spelled_id(name), at * SECOND, identifier(a), identifier(b), "linked", counts)


def unlinked(name: str, at: int, a: str, b: str, *, counts: bool = True) -> Decided:
    """An operator says: never one customer."""
    return Decided(spelled_id(name), at * SECOND, identifier(a), identifier(b), "unlinked", counts)


@dataclass(frozen=True)
class Case:
    """`customers`: the member seen first -> all members. `refused`: link (stronger, other) -> reason; all others glue.

    `owners`: thing -> the identifier it belongs to, None where nobody is known. `shared`: shared values.
    """

    rule: str
    facts: tuple[Seen | Decided, ...]
    customers: dict[str, str]
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    owners: dict[str, str | None] = field(default_factory=dict)
    shared: str = ""
    policy: IdentityPolicy = POLICY


_FIVE_SHARE = tuple(seen(f"e{n}", n, f"member_id:m{n} phone:p") for n in range(1, 6))

CASES: tuple[Case, ...] = (
    Case(
        "an identifier alone is a customer",
        (seen("e1", 1, "email:ann"),),
        {"email:ann": "email:ann"},
    ),
    Case(
        "identifiers named together are one customer, led by the one seen first",
        (seen("e1", 5, "member_id:m email:ann"), seen("e2", 3, "email:ann phone:p")),
        {"email:ann": "member_id:m email:ann phone:p"},  # ann and p both at 3: a < p
    ),
    Case(
        "first sightings at the same time: the least id leads",
        (seen("e1", 1, "email:zoe phone:bob member_id:cat"),),
        {"phone:bob": "email:zoe phone:bob member_id:cat"},
    ),
    Case(
        "a bridge joins two customers and the older sighting leads",
        (seen("e1", 9, "email:ann"), seen("e2", 2, "phone:p"), seen("e3", 10, "email:ann phone:p")),
        {"phone:p": "email:ann phone:p"},
    ),
    Case(
        "an older sighting changes who leads",
        (seen("e1", 5, "email:ann phone:p"), seen("e2", 6, "phone:p"), seen("e0", 1, "phone:p")),
        {"phone:p": "email:ann phone:p"},
    ),
    Case(
        "weaker identifiers of one event are linked to its strongest only",
        (
            seen("e1", 1, "member_id:m email:ann device_id:d"),
            seen("e2", 2, "email:ann device_id:d", counts=False),
        ),
        {"email:ann": "member_id:m email:ann", "device_id:d": "device_id:d"},  # both at 1: ann < m
        {("member_id:m", "device_id:d"): "never_links"},
        policy=TIGHT,
    ),
    Case(
        "a record that lost gives no link and no sighting, but its identifiers exist",
        (seen("e1", 1, "email:ann phone:p", counts=False), seen("e1", 2, "email:ann")),
        {"email:ann": "email:ann", "phone:p": "phone:p"},
    ),
    Case(
        "five stronger identifiers do not make a value shared",
        _FIVE_SHARE[:1] + tuple(seen(f"f{n}", n, f"email:m{n} phone:p") for n in range(2, 6)),
        {"member_id:m1": "member_id:m1 phone:p email:m2 email:m3 email:m4 email:m5"},
    ),
    Case(
        "the second member_id is over the limit and stays a customer of its own",
        _FIVE_SHARE,
        {
            "member_id:m1": "member_id:m1 phone:p",
            "member_id:m2": "member_id:m2",
            "member_id:m3": "member_id:m3",
            "member_id:m4": "member_id:m4",
            "member_id:m5": "member_id:m5",
        },
        {(f"member_id:m{n}", "phone:p"): "limit:member_id" for n in range(2, 6)},
    ),
    Case(
        "with the sixth stronger identifier of one kind the value is shared and glues nobody",
        tuple(seen(f"e{n}", n, f"email:m{n} phone:p") for n in range(1, 7)),
        {"email:m1": "email:m1", **{f"email:m{n}": f"email:m{n}" for n in range(2, 7)}, "phone:p": "phone:p"},
        {(f"email:m{n}", "phone:p"): "shared" for n in range(1, 7)},
        shared="phone:p",
    ),
    Case(
        "six stronger identifiers of two kinds do not share a value",
        tuple(seen(f"e{n}", n, f"email:m{n} phone:p") for n in range(1, 4))
        + tuple(seen(f"f{n}", n, f"open_id:w:o{n} phone:p") for n in range(4, 7)),
        {"email:m1": "phone:p email:m1 email:m2 email:m3 open_id:w:o4 open_id:w:o5 open_id:w:o6"},
    ),
    Case(
        "two platforms are two kinds when sharing is counted",
        (
            seen("e1", 1, "open_id:x:a phone:p"),
            seen("e2", 2, "open_id:x:b phone:p"),
            seen("e3", 3, "open_id:y:c phone:p"),
        ),
        {"open_id:x:a": "open_id:x:a open_id:x:b open_id:y:c phone:p"},
        policy=TIGHT,
    ),
    Case(
        "records that lost still count for sharing",
        (
            seen("e1", 1, "email:a phone:p"),
            seen("e2", 2, "email:b phone:p"),
            seen("e3", 3, "email:c phone:p", counts=False),
            seen("e3", 3, "email:c"),
        ),
        {"email:a": "email:a", "email:b": "email:b", "email:c": "email:c", "phone:p": "phone:p"},
        {("email:a", "phone:p"): "shared", ("email:b", "phone:p"): "shared"},
        shared="phone:p",
        policy=TIGHT,
    ),
    Case(
        "a shared value glues no weaker ones either",
        (
            seen("e1", 1, "email:a phone:p"),
            seen("e2", 2, "email:b phone:p"),
            seen("e3", 3, "email:c phone:p"),
            seen("e4", 4, "phone:p open_id:x:o"),  # open_id is the stronger
        ),
        {
            "email:a": "email:a",
            "email:b": "email:b",
            "email:c": "email:c",
            "phone:p": "phone:p",
            "open_id:x:o": "open_id:x:o",
        },
        {(f"email:{n}", "phone:p"): "shared" for n in "abc"} | {("open_id:x:o", "phone:p"): "shared"},
        shared="phone:p",
        policy=TIGHT,
    ),
    Case(
        "equal strength does not share: neither is stronger",
        tuple(seen(f"e{n}", n, f"email:a email:b{n}") for n in range(1, 8)),
        {"email:a": "email:a " + " ".join(f"email:b{n}" for n in range(1, 8))},
    ),
    Case(
        "the earlier link stands, the later one that breaks a limit is refused, whatever came first",
        (seen("e2", 20, "member_id:n email:ann"), seen("e1", 10, "member_id:m email:ann")),
        {"member_id:n": "member_id:n", "email:ann": "member_id:m email:ann"},
        {("member_id:n", "email:ann"): "limit:member_id"},
    ),
    Case(
        "a limit counts both sides, not the link",
        (
            seen("e1", 1, "member_id:m email:ann"),
            seen("e2", 2, "member_id:n email:bob"),
            seen("e3", 3, "email:bob phone:p"),
            seen("e4", 4, "email:ann phone:p"),
        ),
        {"email:ann": "member_id:m email:ann", "email:bob": "member_id:n email:bob phone:p"},
        {("email:ann", "phone:p"): "limit:member_id"},
    ),
    Case(
        "a late older link changes which one is refused",
        (
            seen("e1", 10, "member_id:m email:ann"),
            seen("e2", 20, "member_id:n email:ann"),
            seen("e0", 5, "member_id:n email:ann"),
        ),
        {"email:ann": "member_id:n email:ann", "member_id:m": "member_id:m"},
        {("member_id:m", "email:ann"): "limit:member_id"},
    ),
    Case(
        "links of one event are taken in the order of their pairs",
        # equal ranks: the anchor is the least id a; pairs (a,b), then (a,c): at two per customer c is left out
        (seen("e1", 1, "email:a email:c email:b"),),
        {"email:a": "email:a email:b", "email:c": "email:c"},
        {("email:a", "email:c"): "limit:email"},
        policy=TIGHT,
    ),
    Case(
        "the reason names the strongest kind that is over its limit",
        (
            seen("e1", 1, "member_id:m crm_id:c"),
            seen("e2", 2, "member_id:n crm_id:d"),
            seen("e3", 3, "crm_id:c email:e"),
            seen("e4", 4, "crm_id:d email:e"),
        ),
        {"crm_id:c": "member_id:m crm_id:c email:e", "crm_id:d": "member_id:n crm_id:d"},
        {("crm_id:d", "email:e"): "limit:member_id"},
    ),
    Case(
        "kinds of equal strength link under the least id",
        (seen("e1", 1, "member_id:m user_id:a"), seen("e2", 2, "member_id:m")),
        {"user_id:a": "member_id:m user_id:a"},
        policy=TIGHT,
    ),
    Case(
        "an operator's link joins what nothing else does, and is no sighting",
        (seen("e1", 4, "email:ann"), seen("e2", 7, "email:bob"), linked("d1", 1, "email:bob", "email:ann")),
        {"email:ann": "email:ann email:bob"},
    ),
    Case(
        "an identifier that only a decision names belongs to a customer, and leads none",
        (seen("e1", 4, "email:zoe"), linked("d1", 1, "email:ann", "email:zoe")),
        {"email:zoe": "email:ann email:zoe"},
    ),
    Case(
        "two identifiers that only a decision names: the least id leads",
        (linked("d1", 1, "email:zoe", "email:ann"),),
        {"email:ann": "email:ann email:zoe"},
    ),
    Case(
        "an operator's link is over no limit",
        (seen("e1", 1, "member_id:m"), seen("e2", 2, "member_id:n"), linked("d1", 3, "member_id:m", "member_id:n")),
        {"member_id:m": "member_id:m member_id:n"},
    ),
    Case(
        "an operator's link comes before all others and so takes the room of an older one",
        (
            seen("e1", 1, "member_id:m email:ann"),
            linked("d1", 9, "member_id:n", "email:ann"),
            seen("e2", 2, "member_id:n"),
        ),
        {"email:ann": "member_id:n email:ann", "member_id:m": "member_id:m"},
        {("member_id:m", "email:ann"): "limit:member_id"},
    ),
    Case(
        "an operator's link binds even a shared value, to that one only",
        (
            seen("e1", 1, "email:a phone:p"),
            seen("e2", 2, "email:b phone:p"),
            seen("e3", 3, "email:c phone:p"),
            linked("d1", 4, "phone:p", "email:b"),
        ),
        {"email:a": "email:a", "phone:p": "email:b phone:p", "email:c": "email:c"},  # p was seen at 1, b at 2
        {("email:a", "phone:p"): "shared", ("email:c", "phone:p"): "shared"},
        shared="phone:p",
        policy=TIGHT,
    ),
    Case(
        "an operator's link binds a kind that never links",
        (seen("e1", 1, "email:a device_id:d"), linked("d1", 2, "email:a", "device_id:d")),
        {"email:a": "email:a device_id:d"},
        policy=TIGHT,
    ),
    Case(
        "an unlinked pair is cut",
        (seen("e1", 1, "email:a phone:p"), unlinked("d1", 2, "phone:p", "email:a")),
        {"email:a": "email:a", "phone:p": "phone:p"},
        {("email:a", "phone:p"): "unlinked"},
    ),
    Case(
        "an unlinked pair may not become one customer by a detour",
        (
            seen("e1", 1, "member_id:m email:a"),
            seen("e2", 2, "member_id:m phone:p"),
            unlinked("d1", 9, "email:a", "phone:p"),
        ),
        {"email:a": "member_id:m email:a", "phone:p": "phone:p"},
        {("member_id:m", "phone:p"): "separated"},
    ),
    Case(
        "the last decision about a pair counts",
        (
            seen("e1", 1, "email:a phone:p"),
            linked("d3", 3, "email:a", "phone:p"),
            unlinked("d2", 2, "phone:p", "email:a"),
        ),
        {"email:a": "email:a phone:p"},
    ),
    Case(
        "two decisions at one time: the greater event id is the last",
        (
            seen("e1", 1, "email:a phone:p"),
            linked("d1", 2, "email:a", "phone:p"),
            unlinked("d2", 2, "email:a", "phone:p"),
        ),
        {"email:a": "email:a", "phone:p": "phone:p"},
        {("email:a", "phone:p"): "unlinked"},
    ),
    Case(
        "an operator's link that would join a pair kept apart is skipped",
        (
            seen("e1", 1, "email:a"),
            seen("e2", 2, "email:b"),
            seen("e3", 3, "email:c"),
            linked("d1", 4, "email:a", "email:b"),
            linked("d2", 5, "email:b", "email:c"),
            unlinked("d3", 6, "email:a", "email:c"),
        ),
        {"email:a": "email:a email:b", "email:c": "email:c"},
    ),
    Case(
        "a decision that was retracted decides nothing",
        (
            seen("e1", 1, "email:a"),
            seen("e2", 2, "email:b"),
            linked("d1", 4, "email:a", "email:b", counts=False),
        ),
        {"email:a": "email:a", "email:b": "email:b"},
    ),
    Case(
        "unlinked evidence still counts for sharing",
        (
            seen("e1", 1, "email:a phone:p"),
            seen("e2", 2, "email:b phone:p"),
            seen("e3", 3, "email:c phone:p"),
            unlinked("d1", 4, "email:c", "phone:p"),
        ),
        {"email:a": "email:a", "email:b": "email:b", "email:c": "email:c", "phone:p": "phone:p"},
        {("email:a", "phone:p"): "shared", ("email:b", "phone:p"): "shared", ("email:c", "phone:p"): "unlinked"},
        shared="phone:p",
        policy=TIGHT,
    ),
    Case(
        "a thing belongs to the strongest identifier of the earliest event that names it",
        (
            seen("e1", 5, "email:ann", "order:1"),
            seen("e2", 3, "phone:p email:bob", "order:1"),
            seen("e3", 1, "", "order:1"),
        ),
        {"email:ann": "email:ann", "email:bob": "email:bob phone:p"},
        owners={"order:1": "email:bob"},
    ),
    Case(
        "a thing that nobody is named with has no owner",
        (seen("e1", 5, "", "order:1"),),
        {},
        owners={"order:1": None},
    ),
    Case(
        "things named after another take its owner, through any number of steps",
        (
            seen("e1", 1, "", "order:1 case:2"),
            seen("e2", 2, "", "case:2 followup:3"),
            seen("e3", 9, "email:ann", "order:1"),
        ),
        {"email:ann": "email:ann"},
        owners={"order:1": "email:ann", "case:2": "email:ann", "followup:3": "email:ann"},
    ),
    Case(
        "a thing's own evidence beats that of the thing it was named after",
        (
            seen("e1", 1, "", "order:1 case:2"),
            seen("e2", 2, "email:ann", "order:1"),
            seen("e3", 9, "email:bob", "case:2"),
        ),
        {"email:ann": "email:ann", "email:bob": "email:bob"},
        owners={"order:1": "email:ann", "case:2": "email:bob"},
    ),
    Case(
        "of two things it was named after, the earliest event decides",
        (
            seen("e2", 2, "", "order:2 case:9"),
            seen("e1", 1, "", "order:1 case:9"),
            seen("e3", 3, "email:ann", "order:1"),
            seen("e4", 3, "email:bob", "order:2"),
        ),
        {"email:ann": "email:ann", "email:bob": "email:bob"},
        owners={"case:9": "email:ann", "order:1": "email:ann", "order:2": "email:bob"},
    ),
    Case(
        "a record that lost is no evidence for a thing",
        (
            seen("e1", 1, "email:ann", "order:1", counts=False),
            seen("e1", 1, "email:bob"),
            seen("e2", 5, "email:cat", "order:1"),
        ),
        {"email:ann": "email:ann", "email:bob": "email:bob", "email:cat": "email:cat"},
        owners={"order:1": "email:cat"},
    ),
    Case(
        "a thing glues nobody",
        (seen("e1", 1, "email:ann", "order:1"), seen("e2", 2, "email:bob", "order:1")),
        {"email:ann": "email:ann", "email:bob": "email:bob"},
        owners={"order:1": "email:ann"},
    ),
)
