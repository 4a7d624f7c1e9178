"""A server's classes as its JVM keeps them, as in Kafka's own image: a start that finds them takes half the CPU."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from gridpulse_native.errors import ServerFailedError
from gridpulse_native.installation import Installation
from gridpulse_native.servers.local import LocalServer, Site
from gridpulse_native.servers.product import CLASSES
from gridpulse_native.settings import NativeSettings

if TYPE_CHECKING:
    from gridpulse_native.provision.workshop import Workshop
    from gridpulse_native.servers.product import Product

__all__ = ["archive_classes"]


def archive_classes(shop: Workshop, kind: type[Product]) -> None:
    """Run the workshop's server once; at its end the JVM writes the classes it loaded. One that cannot leaves it as it was.

    Raises CancelledError when the stack is stopped.
    """
    data = shop.directory / "once"
    written = data / CLASSES
    environ = {**shop.environment, "JAVA_TOOL_OPTIONS": f"-XX:ArchiveClassesAtExit={written}"}
    site = Site(data, NativeSettings(shop.directory, environ=environ), lambda _: None, shop.cancel)
    server = LocalServer(kind, site, Installation(shop.directory, "built"))
    shop.say(f"{shop.label}: started once, for an archive of its classes")
    try:
        server.start()
        written.unlink(missing_ok=True)  # that of a command which prepared the start
        server.stop()
        if written.exists():
            written.rename(shop.directory / CLASSES)
    except ServerFailedError as error:
        shop.say(f"{shop.label}: no archive of its classes, its starts take longer: {error}")
    finally:
        shutil.rmtree(data, ignore_errors=True)
