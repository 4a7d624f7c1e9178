"""The meter says of itself that it failed."""

from gridpulse_schemas.compiled import compiled

__all__ = ["flagged"]

EQUIPMENT_FAILURE = 1


@compiled
def flagged(status: int) -> int:
    """3 (ERROR) where the status carries EQUIPMENT_FAILURE."""
    return 3 if status & EQUIPMENT_FAILURE else 0
