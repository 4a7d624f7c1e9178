"""What two or more GridPulse apps share, and no more."""
