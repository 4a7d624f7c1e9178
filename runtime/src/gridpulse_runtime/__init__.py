"""What two or more GridPulse apps share, and no more."""

import gc

gc.set_threshold(50_000, 20, 20)
"""At Python's 700 a sixth of an app's imports is spent on collecting what stays. The loop collects by itself (application.py)."""

import gridpulse_schemas  # noqa: E402, F401  before quixstreams, because it silences a notice that a dependency prints at import
