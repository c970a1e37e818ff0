"""Where the API may listen while it asks nobody for a key."""

from __future__ import annotations

import pytest

from customer_timeline.api.listening import ListeningRefusedError, check_listening


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LocalHost."])
def test_loopback_needs_no_permission(host: str) -> None:
    check_listening(host, insecure=False)


@pytest.mark.parametrize(
    "host", [".".join("0000"), "::", "10.0.0.1", "example.com", "localhost.example.com", "", "127.0.0.1.x"]
)
def test_beyond_loopback_it_refuses_unless_told_otherwise(host: str) -> None:
    with pytest.raises(ListeningRefusedError, match="--insecure"):
        check_listening(host, insecure=False)
    check_listening(host, insecure=True)
