"""Settings of ingest."""

from pydantic import Field

from gridpulse_runtime.settings import AppSettings

__all__ = ["IngestSettings"]


class IngestSettings(AppSettings):
    """GRIDPULSE_* variables that ingest reads."""

    commit_interval: float = Field(1.0, gt=0, le=300, description="seconds between checkpoints")
    max_ahead: float = Field(60.0, ge=0, le=86_400, description="seconds a reading may be ahead of the wall clock")
    max_rows: int = Field(100_000, ge=1, le=1_000_000, description="rows a batch may have; a larger one is dead-lettered")
    coalesce_ms: float = Field(8.0, ge=0, le=1000, description="longest time a single reading waits for others, ms")
    heartbeat_after: float = Field(10.0, ge=1, le=86_400, description="seconds of quiet until a feeder's heartbeat")
    heartbeat_for: float = Field(259_200.0, ge=1, description="seconds of quiet after which a feeder gets no more heartbeats")
