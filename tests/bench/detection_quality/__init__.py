"""How well the detector finds faults that are known, and how often it cries without one."""
