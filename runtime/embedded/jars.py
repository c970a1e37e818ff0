"""Apache Kafka's jars: fetched once, checked against the committed list of names and SHA-256 at every start.

`jgo` fetches them from Maven Central by the coordinates in the list: resolving what Kafka depends on once more on every
machine would take five times as long, and could find nothing else. The jars are then kept in our own cache folder, so
that later starts need neither jgo nor a network. Nothing outside the list is ever put on the class path.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from customer_timeline.runtime.embedded.cache import cache_dir
from customer_timeline.runtime.embedded.process import ServerError

KAFKA_VERSION = "4.3.0"
# Kafka brings no backend for slf4j, and without one a broker that cannot start says nothing at all: the list has one.
_LIST = "kafka_jars.txt"
_AT_ONCE = 8


class Jar(NamedTuple):
    """A line of the list."""

    sha256: str
    name: str
    coordinates: str  # group:artifact:version


class JarsDiffer(ServerError):  # noqa: N818 - says what is the case
    """The jars at hand are not those that this version was tested with; nothing of them is run."""

    def __init__(self, folder: Path, differences: list[str]) -> None:
        self.folder = folder
        self.differences = differences
        super().__init__(
            f"Kafka's jars in {folder} differ from the list {_LIST}: {'; '.join(differences)}. "
            "Delete that folder to fetch them again; if they still differ, do not trust where they come from."
        )


def listed_jars() -> list[Jar]:
    """The committed list."""
    lines = resources.files(__package__).joinpath(_LIST).read_text(encoding="ascii").splitlines()
    return [Jar(*line.split()) for line in lines if line and not line.startswith("#")]


def expected_jars() -> dict[str, str]:
    """SHA-256 by file name, from the committed list."""
    return {jar.name: jar.sha256 for jar in listed_jars()}


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
        for jar in _download(listed_jars()):
            shutil.copyfile(jar, staging / jar.name)
        found = differences(staging, expected)
        if found:
            raise JarsDiffer(staging, found)
        staging.chmod(0o755)
        # A rename: another process sees all jars or no folder.
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _download(jars: Sequence[Jar]) -> list[Path]:
    try:
        from jgo.config import GlobalSettings
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.maven import MavenContext
    except ImportError as exc:
        raise ServerError('The embedded Kafka needs: pip install "customer-timeline[embedded]"') from exc
    context = MavenContext(repo_cache=GlobalSettings.load().repo_cache, remote_repos={"central": MAVEN_CENTRAL_URL})

    def fetch(jar: Jar) -> Path:
        group, artifact, version = jar.coordinates.split(":")
        return Path(context.project(group, artifact).at_version(version).artifact().resolve())

    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(fetch, jars))
    except (OSError, RuntimeError, ValueError) as exc:
        raise ServerError(f"Kafka's jars could not be fetched from {MAVEN_CENTRAL_URL}: {exc}") from exc


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
