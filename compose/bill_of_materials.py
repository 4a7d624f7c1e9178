"""A CycloneDX bill of materials of one program's image: its packages, with the hashes they are checked by. Part of `make audit`.

bill_of_materials.py detector build/sbom/detector.cdx.json
"""

import re
import sys
from pathlib import Path

from closure import ROOT, locked, members, needed
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

VERSION = re.compile(r"==([^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def bill(app: str) -> Bom:
    """Packages of `app`; of one locked in several versions, by Python's version, each. Raises ValueError for no member."""
    bom = Bom()
    bom.metadata.component = Component(name=f"gridpulse-{app}", type=ComponentType.APPLICATION)
    for package in needed([f"gridpulse-{app}"], members(ROOT), locked((ROOT / "requirements.lock").read_text("utf-8"))):
        text = "\n".join(package.lines)
        version = VERSION.search(text)
        if version is None:
            raise ValueError(f"{package.name} has no version in the lock")
        bom.components.add(
            Component(
                name=package.name,
                version=version[1],
                purl=PackageURL("pypi", name=package.name, version=version[1]),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=content) for content in HASH.findall(text)],
            )
        )
    bom.register_dependency(bom.metadata.component, bom.components)  # all the same: which brings which is in the lock
    return bom


def main(app: str, path: str) -> int:
    """Write the bill of `app`."""
    bom = bill(app)
    Path(path).write_text(JsonV1Dot6(bom).output_as_string(indent=1), encoding="utf-8")
    sys.stdout.write(f"{path}: {len(bom.components)} packages\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
