"""The whole verification: chains, then objects, then what they hold."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import pyarrow.fs as pafs

from gridpulse_archiver.commands.progress import Told
from gridpulse_archiver.ledger import Entry, Ledger, LedgerStore, Stored
from gridpulse_archiver.stretch import FOLDERS
from gridpulse_archiver.verification.chain import follow
from gridpulse_archiver.verification.contents import check_contents
from gridpulse_archiver.verification.findings import Finding, Summary
from gridpulse_archiver.verification.footers import check_footer
from gridpulse_archiver.verification.log import Chain, Log
from gridpulse_archiver.verification.objects import Expected, compare
from gridpulse_runtime.object_store_names import ObjectName

__all__ = ["Verifier"]

AT_ONCE = 16
"""Requests under way at a time."""
A = TypeVar("A")
B = TypeVar("B")


class Verifier:
    """Verifies the chains of one bucket; `findings` and `summaries` are there when `run` returns."""

    def __init__(self, store: LedgerStore, files: pafs.FileSystem, folder: str, told: Told, log: Log) -> None:
        """`files`, below `folder`, are the objects of `store` to be read by ranges."""
        self._store, self._files, self._folder, self._told, self._log = store, files, folder, told, log
        self._ledger = Ledger(store)
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self.findings: list[Finding] = []
        self.summaries: dict[Chain, Summary] = {}

    def run(self, topics: Iterable[str], *, deep: bool) -> None:
        """Verify the chains of `topics`. Objects are made first, then entries, then commits; so they are looked at in reverse.

        Raises UnavailableError, DamagedLedgerError.
        """
        wanted = set(topics)
        committed = self._log.committed(wanted)
        with self._pool:
            named = {chain: self._follow(*chain) for chain in sorted(self._ledger.chains()) if chain[0] in wanted}
            found = self._listed(wanted)
            expected = [each for chain in sorted({*named, *found}) for each in self._compare(chain, named, found)]
            for chain, summary in self.summaries.items():
                names = [name for series in found.get(chain, {}).values() for name in series]
                self.findings += lost_at_the_end(summary, names, committed.get(chain, 0))
            self._footers(expected)
            if deep:
                self._contents(expected)

    def _follow(self, topic: str, partition: int) -> dict[str, list[Stored]]:
        """The objects of a chain by series."""
        summary = self.summaries[topic, partition] = Summary(topic, partition)
        named: dict[str, list[Stored]] = defaultdict(list)
        firsts = self._ledger.firsts(topic, partition)
        self._told.say(f"ledger of {topic}-{partition}")
        read = self._each(lambda first: self._ledger.read(topic, partition, first), firsts)
        for each in follow((entry for entry in read if entry is not None), summary, self._log.no_records):
            if isinstance(each, Entry):
                self._told.advance()
                for stored in each.objects:
                    name = ObjectName.parse(stored.name)
                    named[name.series if name else stored.name].append(stored)
            else:
                self.findings.append(each)
        return named

    def _listed(self, wanted: set[str]) -> dict[Chain, dict[str, list[ObjectName]]]:
        """The objects in the bucket by chain and series."""
        found: dict[Chain, dict[str, list[ObjectName]]] = defaultdict(lambda: defaultdict(list))
        for folder in dict.fromkeys(FOLDERS[topic] for topic in FOLDERS if topic in wanted):
            self._told.say(f"objects in {folder}/")
            for path in self._store.names(f"{folder}/"):
                name = ObjectName.parse(path)
                if name is not None and name.topic in wanted:
                    self._told.advance()
                    found[name.topic, name.partition][name.series].append(name)
        return found

    def _compare(
        self,
        chain: Chain,
        named: dict[Chain, dict[str, list[Stored]]],
        found: dict[Chain, dict[str, list[ObjectName]]],
    ) -> Iterator[Expected]:
        summary = self.summaries.setdefault(chain, Summary(*chain))
        ledger, there = named.get(chain, {}), found.get(chain, {})
        for series in sorted({*ledger, *there}):
            for each in compare(ledger.get(series, []), there.get(series, []), summary):
                if isinstance(each, Expected):
                    yield each
                else:
                    self.findings.append(each)

    def _footers(self, expected: list[Expected]) -> None:
        self._told.say("footers", len(expected))
        for wrong in self._each(lambda each: check_footer(self._files, self._folder, each), expected):
            self._told.advance()
            self.findings += wrong

    def _contents(self, expected: list[Expected]) -> None:
        series: dict[str, list[Expected]] = defaultdict(list)
        for each in expected:
            series[each.name.series].append(each)
        self._told.say("rows", len(series))
        for objects in series.values():
            self.findings += check_contents(self._files, self._folder, objects)
            self._told.advance()

    def _each(self, work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """`work` of each item, in order, several at a time; no more of the items are held than that."""
        rest = iter(items)
        while some := list(islice(rest, 4 * AT_ONCE)):
            yield from self._pool.map(work, some)


def lost_at_the_end(summary: Summary, names: list[ObjectName], committed: int) -> Iterator[Finding]:
    """A hole where more is `committed` than the chain answers for. Without a chain it would begin where the objects do."""
    begin = summary.last + 1 if summary.entries else min((name.first for name in names), default=committed)
    if committed > begin:
        detail = "the archiver has committed these offsets, and no entry of the ledger answers for them"
        yield Finding("hole", summary.topic, summary.partition, begin, committed - 1, detail)
