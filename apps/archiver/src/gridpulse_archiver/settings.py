"""Settings of the archiver."""

from pydantic import Field

from gridpulse_runtime.object_store import ObjectStoreSettings
from gridpulse_runtime.settings import AppSettings

__all__ = ["ArchiverSettings"]


class ArchiverSettings(ObjectStoreSettings, AppSettings):
    """GRIDPULSE_* variables that the archiver reads."""

    archive_interval: float = Field(
        60.0, gt=0, le=240, description="longest time rows wait for their object, s (takes the place of COMMIT_INTERVAL)"
    )
    archive_rows: int = Field(1_000_000, ge=1, le=20_000_000, description="rows that are written without waiting: bounds memory")
