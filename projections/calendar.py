"""The business calendar: which local day and month an instant falls on. Called by every fold that cuts time.

One zone is configured for the whole company. The zone's rules come from the `tzdata` package and never from the
machine, so that two workers on different machines cut the same days; `tzdata_version()` is part of the projection
version. Pure: the tables are read once when a calendar is built, and no clock is asked.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from importlib import metadata, resources
from zoneinfo import ZoneInfo

from customer_timeline.schemas.decoded import EPOCH, from_micros, to_micros
from customer_timeline.schemas.errors import CustomerTimelineError

MICROSECOND = timedelta(microseconds=1)
DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000

# A day of one customer base is asked for again and again; 16,384 days are 44 years of them (some 2 MB). A replay over
# more than that starts the caches anew rather than letting them grow.
_CACHED_DAYS = 16_384

_LAST_DAY = date.max.toordinal() - EPOCH.toordinal()  # 9999-12-31

_NOT_ASKED_YET = -1  # no offset: zones are whole seconds off
_EPOCH_ORDINAL = EPOCH.toordinal()


def tzdata_version() -> str:
    """Version of the package whose rules calendars use, such as `2026.1` (IANA's 2026a)."""
    return metadata.version("tzdata")


class UnknownTimeZone(CustomerTimelineError):  # noqa: N818 - the name of the domain
    """`zone_name` is no zone of the IANA database; use a name such as `Europe/Berlin` or `UTC`."""

    def __init__(self, zone_name: str) -> None:
        self.zone_name = zone_name
        super().__init__(
            f"{zone_name!r} is no time zone of the IANA database (tzdata {tzdata_version()}): "
            "give a name such as 'Europe/Berlin' or 'UTC'"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (UnknownTimeZone, (self.zone_name,))


def _load(zone_name: str) -> ZoneInfo:
    zones = resources.files("tzdata")
    if zone_name not in (zones / "zones").read_text(encoding="utf-8").split():
        raise UnknownTimeZone(zone_name)
    with zones.joinpath("zoneinfo", *zone_name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=zone_name)


class BusinessCalendar:
    """Days and months of one time zone, daylight saving included.

    Instants are microseconds since 1970-01-01T00:00Z; days are whole days since 1970-01-01 in the zone. It
    holds caches and nothing else; threads may share it.
    """

    __slots__ = ("_midnights", "_months", "_offsets", "_zone", "zone_name")

    def __init__(self, zone_name: str) -> None:
        """Raises UnknownTimeZone where `zone_name` is not in the IANA database."""
        self.zone_name = zone_name
        self._zone = _load(zone_name)
        self._offsets: dict[int, int | None] = {}
        self._months: dict[int, str] = {}
        self._midnights: dict[int, int] = {}

    def day(self, us: int) -> int:
        """The local day of the instant, as days since 1970-01-01 (negative before)."""
        utc_day = us // DAY_US
        offset = self._offsets.get(utc_day, _NOT_ASKED_YET)
        if offset == _NOT_ASKED_YET:
            offset = self._remember_offset(utc_day)
        return (us + (offset if offset is not None else self._offset(us))) // DAY_US

    def month(self, us: int) -> str:
        """The local month of the instant, `YYYY-MM`."""
        day = self.day(us)
        return self._months.get(day) or self._remember_month(day)

    def midnight_us(self, day: int) -> int:
        """The instant at which the local day (days since 1970-01-01) begins.

        Where the clock skips midnight, that is the first instant of the day (of the one after, where it skips the
        day); where the clock shows it twice, the first of the two. Beyond 9999-12-31: midnight in UTC.
        """
        known = self._midnights.get(day)
        if known is None:
            known = day * DAY_US if day > _LAST_DAY else self._begin_of(day)
            if len(self._midnights) >= _CACHED_DAYS:
                self._midnights.clear()
            self._midnights[day] = known
        return known

    def _begin_of(self, day: int) -> int:
        midnight = datetime.fromordinal(day + _EPOCH_ORDINAL).replace(tzinfo=self._zone)
        late, early = self._instant(midnight), self._instant(midnight.replace(fold=1))
        # The later reading comes first exactly where the clock skips this midnight: it does so between the two.
        while late - early > 1:
            middle = (late + early) // 2
            if self.day(middle) < day:
                early = middle
            else:
                late = middle
        return late

    @staticmethod
    def _instant(local: datetime) -> int:
        offset = local.utcoffset() or timedelta()
        return to_micros(local.replace(tzinfo=EPOCH.tzinfo)) - offset // MICROSECOND

    def _remember_offset(self, utc_day: int) -> int | None:
        """The offset that every instant of this UTC day shares; None where it changes within the day."""
        begin = utc_day * DAY_US
        hours = {self._offset(begin + hour * HOUR_US) for hour in range(24)}
        hours.add(self._offset(begin + DAY_US - 1))
        known = hours.pop() if len(hours) == 1 else None
        if len(self._offsets) >= _CACHED_DAYS:
            self._offsets.clear()
        self._offsets[utc_day] = known
        return known

    def _remember_month(self, day: int) -> str:
        if len(self._months) >= _CACHED_DAYS:
            self._months.clear()
        local = date.fromordinal(day + _EPOCH_ORDINAL)
        month = self._months[day] = f"{local.year:04d}-{local.month:02d}"
        return month

    def _offset(self, us: int) -> int:
        """How far the zone is ahead of UTC at the instant, in microseconds."""
        ahead = from_micros(us).astimezone(self._zone).utcoffset()
        # Every zone of the database says how far off it is.
        return 0 if ahead is None else ahead // MICROSECOND
