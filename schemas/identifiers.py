"""Identifiers and things: from what a channel wrote to the one normalised value, and to its keyed id.

The codec asks for every identifier of every event, so results are cached. Ids depend on nothing but the deployment's
secret, the kind and the value: the same on every worker and in every replay, and not to be guessed from an email address. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from customer_timeline.schemas.decoded import Identifier, QualityNote, Thing
from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.identity_policy import PLATFORM_KIND, THING_KINDS, IdentityPolicy

MAX_IDENTIFIER_BYTES: Final = 512

Refusal = Literal["blocked", "not_normalisable", "unknown_kind"]


class EmptySecret(CustomerTimelineError):  # noqa: N818 - named as the codebase names its verdicts
    """The identity secret is empty, so ids could be guessed from the values: set CUSTOMER_TIMELINE_IDENTITY_SECRET."""

    def __init__(self) -> None:
        super().__init__(
            "the identity secret is empty: set CUSTOMER_TIMELINE_IDENTITY_SECRET to at least 16 random bytes"
        )


def normalise_email(raw: str) -> str | None:
    """Trimmed, lower case, the domain in IDNA (ASCII) form; None where it is no address. No DNS is asked.

    Reserved domains such as `.test` pass, for staging systems use them; names without a dot do not, for they mean
    another mailbox in every network.
    """
    try:
        found = validate_email(raw.strip(), check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        return None
    domain = (found.ascii_domain or "").lower()
    if "." not in domain:
        return None
    return f"{found.local_part.lower()}@{domain}"


def normalise_phone(raw: str, region: str) -> str | None:
    """E.164, with `;ext=` where there is an extension; None where it is no valid number.

    `region` (ISO 3166) is where a number without a country code is from. Full-width digits and any punctuation pass.
    """
    try:
        number = phonenumbers.parse(raw.strip(), region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{e164};ext={number.extension}" if number.extension else e164


def _uuid_text(digest: str) -> str:
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def _has_controls(value: str) -> bool:
    return any(character < " " or "\x7f" <= character <= "\x9f" for character in value)


class IdentifierSpace:
    """All identifiers and things of one deployment: its policy and its secret decide their values and ids.

    `normalise(kind, raw)` gives the `Identifier`, or the reason why there is none (a string). `thing(kind, value)` gives the
    `Thing`. Both are cached (`cache_size` entries each) and safe to call from several threads.
    """

    def __init__(self, policy: IdentityPolicy, secret: bytes, *, cache_size: int = 1 << 17) -> None:
        if not secret:
            raise EmptySecret
        self.policy = policy
        # BLAKE2b takes keys of up to 64 bytes; a longer secret is condensed instead of cut.
        self._key = secret if len(secret) <= 64 else hashlib.blake2b(secret).digest()
        self._blocked: dict[str, frozenset[str]] = {}
        self.normalise = lru_cache(maxsize=cache_size)(self._normalise)
        self.thing = lru_cache(maxsize=cache_size)(self._thing)

    def rank(self, kind: str) -> int:
        """Strength of `kind`; 0 where it is unknown."""
        found = self.policy.of(kind)
        return found.rank if found is not None else 0

    def usable(
        self, given: Iterable[tuple[str, str]], field: str = "identifiers"
    ) -> tuple[tuple[Identifier, ...], tuple[QualityNote, ...]]:
        """The usable identifiers among (kind, raw value), distinct, strongest first (rank, then least id), and a note for
        each that was dropped."""
        found: list[Identifier] = []
        notes: list[QualityNote] = []
        for index, (kind, raw) in enumerate(given):
            outcome = self.normalise(kind, raw)
            if isinstance(outcome, str):
                notes.append(QualityNote(f"{field}[{index}]", kind, outcome))
            elif outcome not in found:
                found.append(outcome)
        if len(found) > 1:
            found.sort(key=self._strength)
        return tuple(found), tuple(notes)

    def _strength(self, identifier: Identifier) -> tuple[int, str]:
        return (-self.rank(identifier.kind), identifier.identifier_id)

    def _normalise(self, kind: str, raw: str) -> Identifier | Refusal:
        # A bare `open_id` is no kind: ids of two platforms would be one namespace.
        if kind == PLATFORM_KIND or self.policy.of(kind) is None:
            return "unknown_kind"
        value = self._canonical(kind, raw)
        if raw.strip().casefold() in self._blocked_values(kind):
            return "blocked"
        if value is None or len(value.encode()) > MAX_IDENTIFIER_BYTES:
            return "not_normalisable"
        if value.casefold() in self._blocked_values(kind):
            return "blocked"
        return Identifier(self._hash(f"{kind}:{value}", b""), kind, value)

    def _canonical(self, kind: str, raw: str) -> str | None:
        if kind == "email":
            return normalise_email(raw)
        if kind == "phone":
            return normalise_phone(raw, self.policy.default_phone_region)
        value = raw.strip()
        return value if value and not _has_controls(value) else None

    def _blocked_values(self, kind: str) -> frozenset[str]:
        found = self._blocked.get(kind)
        if found is None:
            policy = self.policy.of(kind)
            listed = policy.blocked if policy is not None else ()
            # Channels write NULL, Null and null; and a deployment may list a number as people write it.
            normalised = (self._canonical(kind, value) for value in listed)
            found = frozenset(value.casefold() for value in (*listed, *normalised) if value)
            self._blocked[kind] = found
        return found

    def _thing(self, kind: str, value: str) -> Thing:
        return Thing(self._hash(f"{kind}:{value}", b"thing"), kind, value)

    def _hash(self, name: str, domain: bytes) -> str:
        # `person` keeps ids of things apart from ids of identifiers whatever they are called.
        return _uuid_text(hashlib.blake2b(name.encode(), digest_size=16, key=self._key, person=domain).hexdigest())


THING_ORDER: Final = {kind: position for position, kind in enumerate(THING_KINDS)}
"""Which thing of an event comes first: order, contract, opportunity, case, follow-up."""
