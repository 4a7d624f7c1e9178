"""The pipeline under load while things are killed, paused, cut off: who does it, and how the damage is judged."""
