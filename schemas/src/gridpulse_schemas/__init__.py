"""The contract of GridPulse: Avro schemas, topic manifest and the codec between bytes and columns."""

from gridpulse_schemas.batch import Origin, ReadingBatch, Roster
from gridpulse_schemas.codec import Codec
from gridpulse_schemas.columns import COLUMN_NAMES, COLUMNS, Column, Status
from gridpulse_schemas.errors import DecodeError, RegistryUnavailableError
from gridpulse_schemas.reading import Reading
from gridpulse_schemas.registry import Registry, SchemaStore

__all__ = [
    "COLUMNS",
    "COLUMN_NAMES",
    "Codec",
    "Column",
    "DecodeError",
    "Origin",
    "Reading",
    "ReadingBatch",
    "Registry",
    "RegistryUnavailableError",
    "Roster",
    "SchemaStore",
    "Status",
]
