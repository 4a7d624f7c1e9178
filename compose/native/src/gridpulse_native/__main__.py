"""`python -m gridpulse_native` is the command `gridpulse-native`."""

from __future__ import annotations

from gridpulse_native.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
