"""Getting jars with Maven, through whatever repository the environment's Maven is set up with."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpulse_native.provision.workshop import Workshop

__all__ = ["copy_archive", "copy_libraries"]

PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin"
ATTEMPTS = 4

POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>gridpulse.local</groupId>
  <artifactId>libraries</artifactId>
  <version>1</version>
  <dependencies>
{dependencies}
  </dependencies>
</project>
"""


def _dependency(coordinates: str) -> str:
    group, artifact, version = coordinates.split(":")
    return (
        f"    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
    )


def copy_libraries(shop: Workshop, mvn: str, coordinates: Sequence[str]) -> None:
    """Put the artifacts `group:name:version` and all they depend on at run time into `libs/`."""
    pom = shop.directory / "pom.xml"
    pom.write_text(POM.format(dependencies="\n".join(map(_dependency, coordinates))))
    goal = f"{PLUGIN}:3.8.1:copy-dependencies"
    options = ["-B", "-DincludeScope=runtime", f"-DoutputDirectory={shop.directory / 'libs'}"]
    shop.run("downloading with Maven", [mvn, *options, goal], attempts=ATTEMPTS)


def copy_archive(shop: Workshop, mvn: str, coordinates: str) -> None:
    """Unpack one archive artifact `group:name:version:type:classifier` into `app/`.

    Version 2.8 of the plugin, because later ones insist on the parent POM, and Apicurio's is not published.
    """
    downloads = shop.directory / "downloads"
    options = ["-B", f"-Dartifact={coordinates}", f"-DoutputDirectory={downloads}"]
    shop.run("downloading with Maven", [mvn, *options, f"{PLUGIN}:2.8:copy"], attempts=ATTEMPTS)
    for archive in downloads.iterdir():
        with tarfile.open(archive) as tar:
            # The safe filter, where this Python has it (3.11.4 on); before, extractall knows no other way.
            tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
            tar.extractall(shop.directory / "app")  # noqa: S202 - a published, pinned artifact
        archive.unlink()
    downloads.rmdir()
