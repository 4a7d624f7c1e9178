"""What two or more GridPulse apps share, and no more."""

import gridpulse_schemas  # noqa: F401  before quixstreams, because it silences a notice that a dependency prints at import
