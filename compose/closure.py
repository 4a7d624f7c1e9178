"""What one program needs of requirements.lock, hashes included. Runs in the image build, so it needs Python and nothing else.

    closure.py packages gridpulse-detector      # a requirements file, for `uv pip sync --require-hashes`
    closure.py packages gridpulse-archiver --without gridpulse-runtime      # what it needs more than another
    closure.py members gridpulse-detector       # folders of the members it is made of, those it needs first

What a member asks for stands in its pyproject.toml; what those packages ask for in turn, the lock says ("# via"). Nothing is
resolved here, and no index is asked.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("schemas", "runtime", "generator", "apps/*", "compose/*")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass
class Locked:
    """One package of the lock: its lines without the comments, and who asked for it."""

    name: str
    lines: list[str] = field(default_factory=list)
    wanted_by: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Member:
    """One member of the workspace: its folder, and the names of what it asks for, members among them."""

    folder: Path
    needs: tuple[str, ...]


def locked(lock: str) -> list[Locked]:
    """Entries of the lock: one a package, or one a version where Pythons need different ones.

    Raises ValueError where one has no hash or does not say who asked for it.
    """
    packages: list[Locked] = []
    for line in lock.splitlines():
        if line.startswith("#"):
            continue
        if line.lstrip().startswith("#"):
            comment = line.strip(" #").removeprefix("via").strip()
            if packages and comment:
                packages[-1].wanted_by.add(first_name(comment))
        elif line.strip():
            if not line.startswith(" "):
                packages.append(Locked(first_name(line)))
            packages[-1].lines.append(line)
    for package in packages:
        if not package.wanted_by or not any("--hash=sha256:" in line for line in package.lines):
            raise ValueError(f"{package.name}: no hash, or no '# via', in the lock: was it made by `make lock`?")
    return packages


def members(root: Path) -> dict[str, Member]:
    """Members of the workspace by name."""
    found = {}
    for pattern in FOLDERS:
        for file in sorted(root.glob(f"{pattern}/pyproject.toml")):
            project = tomllib.loads(file.read_text("utf-8"))["project"]
            found[project["name"]] = Member(file.parent.relative_to(root), tuple(map(first_name, project["dependencies"])))
    return found


def first_name(text: str) -> str:
    """Normalised name at the start of a requirement or of a comment of the lock."""
    found = NAME.match(text)
    if found is None:
        raise ValueError(f"no name of a package at the start of {text!r}")
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def made_of(name: str, workspace: dict[str, Member]) -> Iterator[str]:
    """Yield `name` and the members it needs, those it needs first, some more than once; nothing where it is no member."""
    if name in workspace:
        for needed in workspace[name].needs:
            yield from made_of(needed, workspace)
        yield name


def closure(names: Iterable[str], packages: list[Locked]) -> list[Locked]:
    """Packages that any of `names` needs, those named included, in the order of the lock."""
    reached = set(names)
    while grown := {package.name for package in packages if package.wanted_by & reached} - reached:
        reached |= grown
    return [package for package in packages if package.name in reached]


def needed(names: Iterable[str], workspace: dict[str, Member], packages: list[Locked]) -> list[Locked]:
    """Packages that any of `names`, members or packages, needs. Raises ValueError where a name is neither."""
    names = list(names)
    parts = dict.fromkeys(member for name in names for member in made_of(name, workspace))
    asked = dict.fromkeys([*names, *(name for member in parts for name in workspace[member].needs)])
    known = {*workspace, *(package.name for package in packages)}
    for name in asked:
        if name not in known:
            raise ValueError(f"{name} is no member and not in requirements.lock (members: {', '.join(workspace)})")
    return closure(asked, packages)


def main() -> int:
    """Exit code: 0, or 2 for a wrong command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("packages", "members"))
    parser.add_argument("names", nargs="+")
    parser.add_argument("--without", nargs="*", default=[], metavar="NAME", help="leave out what these need")
    options = parser.parse_args()
    workspace, packages = members(ROOT), locked((ROOT / "requirements.lock").read_text("utf-8"))
    try:
        theirs = {id(package) for package in needed(options.without, workspace, packages)}
        found = [package for package in needed(options.names, workspace, packages) if id(package) not in theirs]
    except ValueError as error:
        parser.error(str(error))
    if options.what == "members":
        parts = dict.fromkeys(member for name in options.names for member in made_of(name, workspace))
        sys.stdout.writelines(f"{workspace[name].folder}\n" for name in parts)
    else:
        sys.stdout.writelines(f"{line}\n" for package in found for line in package.lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
