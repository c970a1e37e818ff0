"""Apache Kafka's jars: fetched once, checked against the committed list of names and SHA-256 at every start.

`jgo` resolves the Maven coordinates; the jars are then kept in our own cache folder, so that later starts need neither
jgo nor a network. Nothing outside the list is ever put on the class path.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from customer_timeline.runtime.embedded.cache import cache_dir
from customer_timeline.runtime.embedded.process import ServerError

KAFKA_VERSION = "4.3.0"
# Kafka's own jars bring no backend for slf4j: without one a broker that cannot start says nothing at all.
COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
_LIST = "kafka_jars.txt"


class JarsDiffer(ServerError):  # noqa: N818 - says what is the case
    """The jars at hand are not those that this version was tested with; nothing of them is run."""

    def __init__(self, folder: Path, differences: list[str]) -> None:
        self.folder = folder
        self.differences = differences
        super().__init__(
            f"Kafka's jars in {folder} differ from the list {_LIST}: {'; '.join(differences)}. "
            "Delete that folder to fetch them again; if they still differ, do not trust where they come from."
        )


def expected_jars() -> dict[str, str]:
    """SHA-256 by file name, from the committed list."""
    lines = resources.files(__package__).joinpath(_LIST).read_text(encoding="ascii").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines if line and not line.startswith("#"))}


def differences(folder: Path, expected: Mapping[str, str]) -> list[str]:
    """How the jars in `folder` differ from `expected`, one sentence each; empty when they are the same."""
    found = {path.name: path for path in folder.glob("*.jar")}
    told = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    told += [f"{name} is not on the list" for name in sorted(found.keys() - expected.keys())]
    for name in sorted(expected.keys() & found.keys()):
        digest = hashlib.sha256(found[name].read_bytes()).hexdigest()
        if digest != expected[name]:
            told.append(f"{name} has SHA-256 {digest}, expected {expected[name]}")
    return told


def kafka_jars() -> Path:
    """The folder with exactly the listed jars; fetched at the first call on this machine (about 43 MB).

    Safe to call from several processes at once. Raises JarsDiffer, or ServerError where they cannot be fetched.
    """
    expected, folder = expected_jars(), _folder()
    with _locked(cache_dir() / "kafka-jars.lock"):
        if not folder.is_dir():
            _fetch(folder, expected)
    found = differences(folder, expected)
    if found:
        raise JarsDiffer(folder, found)
    return folder


def must_be_fetched() -> bool:
    """Whether the next start has to fetch the jars, which takes a while and a network."""
    return not _folder().is_dir()


def _folder() -> Path:
    identity = hashlib.sha256(repr(sorted(expected_jars().items())).encode()).hexdigest()[:12]
    return cache_dir() / f"kafka-{KAFKA_VERSION}-{identity}"


def _fetch(folder: Path, expected: Mapping[str, str]) -> None:
    staging = Path(tempfile.mkdtemp(prefix=".kafka-", dir=folder.parent))
    try:
        for jar in _resolve():
            shutil.copyfile(jar, staging / jar.name)
        found = differences(staging, expected)
        if found:
            raise JarsDiffer(staging, found)
        staging.chmod(0o755)
        # A rename: another process sees all jars or no folder.
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _resolve() -> list[Path]:
    try:
        import jgo
    except ImportError as exc:
        raise ServerError('The embedded Kafka needs: pip install "customer-timeline[embedded]"') from exc
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        try:
            return [Path(jar) for jar in jgo.build(COORDINATES).all_jars]
        except (OSError, RuntimeError, ValueError) as exc:
            raise ServerError(f"Kafka's jars ({COORDINATES}) could not be fetched: {exc}") from exc


@contextmanager
def _quiet() -> Iterator[None]:
    """jgo starts Java to look at each jar, and Java's warnings go straight to our stderr."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
