"""Identifiers and things: from what a channel wrote to the one normalised value, and to its keyed id.

The codec asks for every identifier of every event, so results are cached. Ids depend on nothing but the deployment's
secret, the kind and the value: the same on every worker and in every replay, and not to be guessed from an email
address. Pure.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from customer_timeline.schemas.decoded import Identifier, QualityNote, Thing
from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.identity_policy import PLATFORM_KIND, IdentityPolicy, KindPolicy, compiled
from customer_timeline.schemas.touchpoint import IdentifierRef

MAX_IDENTIFIER_BYTES: Final = 512
MAX_EMAIL_CHARACTERS: Final = 240  # RFC 5321 says 254; longer ones are left to the validator, which counts exactly
MAX_LOCAL_PART: Final = 64  # RFC 5321, 4.5.3.1.1

BRAZIL: Final = 55
CHINESE_EXTENSION: Final = re.compile(r"\s*(?:转|轉|分机|分機)\s*:?\s*(?=[0-9０-９])")

# Addresses that need no thought: RFC 5322 dot-atom, host names of letters and digits. A test holds them against the
# validator.
PLAIN_EMAIL: Final = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"
)

# Sorts strongest first: (-rank, identifier_id, identifier).
_Entry = tuple[int, str, Identifier]
_Usable = tuple[tuple[Identifier, ...], tuple[QualityNote, ...]]
_REMEMBERED_TOGETHER: Final = 3  # more are rarely the same again, and are memory
Refusal = Literal["blocked", "not_normalisable", "unknown_kind"]


class EmptySecret(CustomerTimelineError):  # noqa: N818 - named as the codebase names its verdicts
    """The identity secret is empty, so ids could be guessed from the values: set CUSTOMER_TIMELINE_IDENTITY_SECRET."""

    def __init__(self) -> None:
        super().__init__(
            "the identity secret is empty: set CUSTOMER_TIMELINE_IDENTITY_SECRET to at least 16 random bytes"
        )


def normalise_email(raw: str) -> str | None:
    """Trimmed, lower case, the domain in IDNA (ASCII) form; None where it is no address. No DNS is asked.

    A dot after the domain (its root, or the end of a sentence) and quotes that the local part does not need are left
    out: the mailbox is the same. Reserved domains such as `.test` pass, for staging systems use them; names without a
    dot do not, for they mean another mailbox in every network.
    """
    address = raw.strip().removesuffix(".")
    if address.isascii() and len(address) <= MAX_EMAIL_CHARACTERS:
        lowered = address.lower()
        if PLAIN_EMAIL.fullmatch(lowered) and lowered.index("@") <= MAX_LOCAL_PART and "--" not in lowered:
            return lowered
    return email_by_the_book(address)


def email_by_the_book(address: str) -> str | None:
    """What `normalise_email` says of a trimmed address, found by the validator; slow, but for all addresses."""
    # The validator refuses reserved domains and cannot be told to allow them; under `.example` its rules still apply.
    reserved = address.rpartition(".")[2].lower() in SPECIAL_USE_DOMAIN_NAMES
    suffix = ".example" if reserved else ""
    try:
        found = validate_email(
            address + suffix,
            check_deliverability=False,
            globally_deliverable=False,
            strict=True,
            allow_quoted_local=True,
        )
    except EmailNotValidError:
        return None
    domain = (found.ascii_domain or "").lower().removesuffix(suffix)
    if "." not in domain:
        return None
    return f"{unicodedata.normalize('NFC', found.local_part.lower())}@{domain}"


def normalise_phone(raw: str, region: str) -> str | None:
    """E.164, with `;ext=` where there is an extension; None where it is no valid number.

    `region` (ISO 3166) is where a number without a country code is from. Full-width digits and any punctuation pass;
    an extension may be written with `ext.`, `x`, `;ext=` or, as in China, with 转 or 分机.
    """
    try:
        number = phonenumbers.parse(CHINESE_EXTENSION.sub(" ext. ", raw.strip()), region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        _add_ninth_digit(number)
        if not phonenumbers.is_valid_number(number):
            return None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    # The library reads digits of any script, but leaves those of an extension as they were written.
    extension = "".join(str(unicodedata.decimal(digit, digit)) for digit in number.extension or "")
    return f"{e164};ext={extension}" if extension else e164


def _add_ninth_digit(number: phonenumbers.PhoneNumber) -> None:
    """A Brazilian mobile number of eight digits as it reads today: since 2016 all of them have a 9 in front.

    Address books and messengers still hold the old form. Eight-digit numbers that exist as they are are left alone.
    """
    national = str(number.national_number)
    if number.country_code == BRAZIL and len(national) == 10 and national[2] in "6789":
        number.national_number = int(f"{national[:2]}9{national[2:]}")


def _uuid_text(digest: str) -> str:
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def _is_blocked(value: str, policy: KindPolicy) -> bool:
    """Whether a prefix or a pattern says that a normalised value means nobody."""
    folded = value.casefold()
    return any(folded.startswith(prefix.casefold()) for prefix in policy.blocked_prefixes) or any(
        compiled(pattern).fullmatch(value) for pattern in policy.blocked_patterns
    )


def _has_controls(value: str) -> bool:
    return any(character < " " or "\x7f" <= character <= "\x9f" for character in value)


class IdentifierSpace:
    """All identifiers and things of one deployment: its policy and its secret decide their values and ids.

    `normalise(kind, raw)` gives the `Identifier`, or the reason why there is none; `thing(kind, value)` gives the
    `Thing`. Both are cached (`cache_size` identifiers, an eighth of that of things, which are over sooner) and safe to
    call from several threads. So is what `usable` says, a fourth of that.
    """

    def __init__(self, policy: IdentityPolicy, secret: bytes, *, cache_size: int = 1 << 17) -> None:
        if not secret:
            raise EmptySecret
        self.policy = policy
        # BLAKE2b takes keys of up to 64 bytes; a longer secret is condensed instead of cut.
        self._key = secret if len(secret) <= 64 else hashlib.blake2b(secret).digest()
        self._blocked: dict[str, frozenset[str]] = {}
        self._entry = lru_cache(maxsize=cache_size)(self._make_entry)
        self.thing = lru_cache(maxsize=cache_size >> 3)(self._make_thing)
        # What events name together, for most name the same again: a look for all of it instead of one for each.
        self._together: dict[tuple[str, ...], _Usable] = {}
        self._most_together = cache_size >> 2

    def normalise(self, kind: str, raw: str) -> Identifier | Refusal:
        """The identifier that `raw` means, or why there is none: blocked, not_normalisable or unknown_kind."""
        entry = self._entry(kind, raw)
        return entry if isinstance(entry, str) else entry[2]

    def is_usable(self, given: IdentifierRef) -> bool:
        """Whether an identifier is among those that `usable` gives."""
        named = given.__dict__
        return not isinstance(self._entry(named["kind"], named["value"]), str)

    def usable(self, given: Sequence[IdentifierRef]) -> _Usable:
        """The usable identifiers among `given`, distinct, strongest first (rank, then least id), and a note for each
        that was dropped."""
        if len(given) > _REMEMBERED_TOGETHER:
            return self._found(given)
        # Kind and value of each, past the model's attributes, which pydantic answers for in three times as long.
        named = tuple([said for ref in given for said in ref.__dict__.values()])
        known = self._together.get(named)
        if known is None:
            if len(self._together) >= self._most_together:
                self._together.clear()
            known = self._together[named] = self._found(given)
        return known

    def _found(self, given: Sequence[IdentifierRef]) -> _Usable:
        found: list[_Entry] = []
        notes: tuple[QualityNote, ...] = ()
        for index, ref in enumerate(given):
            entry = self._entry(ref.kind, ref.value)
            if isinstance(entry, str):
                notes += (QualityNote(f"identifiers[{index}]", ref.kind, entry),)
            elif entry not in found:
                found.append(entry)
        if len(found) == 1:
            return (found[0][2],), notes
        found.sort()
        return tuple([entry[2] for entry in found]), notes

    def _make_entry(self, kind: str, raw: str) -> _Entry | Refusal:
        policy = self.policy.of(kind)
        # A bare `open_id` is no kind: ids of two platforms would be one namespace.
        if policy is None or kind == PLATFORM_KIND:
            return "unknown_kind"
        blocked = self._blocked_values(kind)
        if raw.strip().casefold() in blocked:
            return "blocked"
        value = self._canonical(kind, raw)
        if value is None or len(value.encode()) > MAX_IDENTIFIER_BYTES:
            return "not_normalisable"
        if value.casefold() in blocked or _is_blocked(value, policy):
            return "blocked"
        identifier_id = self._hash(f"{kind}:{value}", b"")
        return (-policy.rank, identifier_id, Identifier(identifier_id, kind, value))

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

    def _make_thing(self, kind: str, value: str) -> Thing:
        return Thing(self._hash(f"{kind}:{value}", b"thing"), kind, value)

    def _hash(self, name: str, domain: bytes) -> str:
        # `person` keeps ids of things apart from ids of identifiers whatever they are called.
        return _uuid_text(hashlib.blake2b(name.encode(), digest_size=16, key=self._key, person=domain).hexdigest())
