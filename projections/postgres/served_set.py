"""A reader that goes on with the set of tables of its version after a switch to another version, until it is replaced.

A program reads tables of one projection version. When a switch makes another version live, the programs that were
started for the version before still answer for a while: they find their tables in the set that was set aside. A program
that has never served from the live set does not do so; it waits for the switch that makes its version live.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

from customer_timeline.projections.reading import ViewsOutOfDateError, ViewsUnavailableError

R = TypeVar("R")


_ROUNDS = 3  # a set may change its name between two questions


class Served:
    """Whether a program has answered from live tables of its version: shared by all its readers."""

    def __init__(self) -> None:
        self.once = False


def of_one_version(live: R, aside: Sequence[R], served: Served) -> R:
    """A reader as `live`, that asks one of `aside` while the live tables are of another version; `aclose` closes all.

    Every method must be a coroutine, raise ViewsOutOfDateError for other tables, and see one snapshot a call.
    """
    return cast("R", _ServedSet((live, *aside), served))


class _ServedSet:
    """Passes every call on to the reader that served last."""

    def __init__(self, readers: Sequence[Any], served: Served) -> None:
        self._readers = readers
        self._current = readers[0]
        self._served = served

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def ask(*arguments: Any, **named: Any) -> Any:
            # Another call may find another one meanwhile.
            current = self._current
            try:
                found = await getattr(current, name)(*arguments, **named)
            except ViewsOutOfDateError:
                if not self._served.once:
                    raise
            except ViewsUnavailableError:
                if current is self._readers[0]:
                    raise
            else:
                self._served.once = self._served.once or name != "health"
                return found
            return await self._ask_all(lambda reader: getattr(reader, name)(*arguments, **named))

        return ask

    async def _ask_all(self, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        refused: ViewsOutOfDateError | None = None
        for reader in [*self._readers] * _ROUNDS:
            try:
                found = await ask(reader)
            except ViewsOutOfDateError as exc:
                refused = refused or exc
            except ViewsUnavailableError:
                # There is no set of that name; the live one says why it cannot be asked.
                if reader is self._readers[0]:
                    raise
            else:
                self._current = reader
                return found
        self._current = self._readers[0]
        raise refused or ViewsUnavailableError("No set of tables is of the version that this program reads.")

    async def aclose(self) -> None:
        """Close all of them."""
        for reader in self._readers:
            await reader.aclose()
