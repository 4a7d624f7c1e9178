"""rules.toml followed while the detector runs: a changed file is in force from the next batch, a wrong one changes nothing."""

import threading
import time
from pathlib import Path

import structlog

from gridpulse_detector import metrics
from gridpulse_detector.detection import Detector
from gridpulse_detector.ruleset import RuleError, load_rules

__all__ = ["RulesFile"]

log = structlog.get_logger(__name__)
LOOK_SECONDS = 2.0


class RulesFile:
    """Compares the content and not the time of change, which a mounted ConfigMap does not tell."""

    def __init__(self, path: Path, detector: Detector) -> None:
        self._path, self._detector = path, detector
        self._content = self._read()

    def look(self) -> bool:
        """Hand changed rules to the detector; True where it got new ones. A mistake is logged with file, key, value and range."""
        content = self._read()
        if content is None or content == self._content:
            return False
        self._content = content
        try:
            self._detector.coming = load_rules(self._path)
        except RuleError as error:
            metrics.RULES.labels("refused").inc()
            log.error("the changed rules are not used, those in force stay", error=str(error))  # noqa: TRY400  told, not traced
            return False
        metrics.RULES.labels("loaded").inc()
        log.info("changed rules are in force", file=str(self._path))
        return True

    def _read(self) -> bytes | None:
        """Content; None while the file is being replaced."""
        try:
            return self._path.read_bytes()
        except OSError:
            return None

    def follow(self) -> None:
        """Look now and then, from a daemon thread."""

        def look_on() -> None:
            while True:
                time.sleep(LOOK_SECONDS)
                self.look()

        threading.Thread(target=look_on, name="rules", daemon=True).start()
