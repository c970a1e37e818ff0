"""Where the API may listen: it knows no keys or roles yet, so whoever reaches it may read every customer."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address

from customer_timeline.schemas.errors import CustomerTimelineError


class ListeningRefusedError(CustomerTimelineError):
    """The address would open the API to other machines."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(
            f"The API knows no keys yet and refuses to listen on {host}, where other machines may reach it: listen on "
            "127.0.0.1, or say --insecure if something in front of it decides who may read."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (ListeningRefusedError, (self.host,))


@lru_cache(maxsize=256)  # asked for every request; callers send a few different hosts
def is_loopback(host: str) -> bool:
    """Whether `host` (an address, with or without brackets, or a name) can only be reached from this machine.

    Of names only `localhost` counts: another may resolve to anything, and to something else tomorrow.
    """
    bare = host.removeprefix("[").removesuffix("]")
    if bare.rstrip(".").lower() == "localhost":
        return True
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return False


def check_listening(host: str, *, insecure: bool) -> None:
    """Raises ListeningRefusedError where `host` is not loopback and nobody said that this is meant."""
    if not insecure and not is_loopback(host):
        raise ListeningRefusedError(host)
