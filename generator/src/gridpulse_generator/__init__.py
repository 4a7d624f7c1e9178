"""Simulated smart grid with labelled faults, and replay of recordings."""
