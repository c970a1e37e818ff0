"""Free TCP ports on loopback, and remembering them, so that a server that starts again keeps its address."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Sequence
from pathlib import Path

from customer_timeline.runtime.embedded.process import ServerError

LOOPBACK = "127.0.0.1"

# Below the range from which the kernel gives outgoing connections their ports (32768 on): a client that tries again and
# again to reach a server that is down can be given the server's very port, connect to itself, and keep the server out.
_LOWEST, _HIGHEST = 18_000, 32_000


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(taken: Sequence[int] = ()) -> int:
    """A port that is free now and not in `taken`. Raises ServerError where there is none."""
    chosen = random.SystemRandom()
    for _ in range(500):
        port = chosen.randint(_LOWEST, _HIGHEST)
        if port not in taken and is_free(port):
            return port
    raise ServerError(f"No free port found between {_LOWEST} and {_HIGHEST}.")


def choose_ports(memory: Path, wanted: dict[str, int]) -> dict[str, int]:
    """Ports by name: the wanted one; where that is 0 the one of the last start if still free, else a free one."""
    before: dict[str, int] = json.loads(memory.read_text()) if memory.exists() else {}
    chosen: dict[str, int] = {}
    for name, port in wanted.items():
        last = before.get(name, 0)
        if port == 0:
            port = last if last and is_free(last) and last not in chosen.values() else free_port(list(chosen.values()))
        elif not is_free(port):
            raise ServerError(f"Port {port} is taken by another program. Choose another one, or 0 for any free port.")
        chosen[name] = port
    memory.write_text(json.dumps(chosen))
    return chosen
