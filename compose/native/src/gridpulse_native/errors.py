"""What can go wrong with the local stack; each class names what its reader should do."""

from __future__ import annotations

__all__ = [
    "BuildFailedError",
    "CancelledError",
    "MissingToolError",
    "NativeError",
    "NotOursError",
    "ServerFailedError",
]


class NativeError(Exception):
    """Base of all errors meant to be shown to a person, without a traceback."""


class MissingToolError(NativeError):
    """A toolchain is missing. The message names it and says what to do."""


class BuildFailedError(NativeError):
    """A download or build failed after its retries. The message ends with the last lines of its log."""


class ServerFailedError(NativeError):
    """A server ended or did not answer in time. The message ends with the last lines of its log."""


class NotOursError(NativeError):
    """A server given by the environment, or started by another program, was asked to stop or start."""


class CancelledError(NativeError):
    """The stack was stopped while a build was under way. Nothing of the build is left."""
