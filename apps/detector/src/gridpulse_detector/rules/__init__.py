"""The rules, one file each: compiled functions of one reading, its baseline and its limits."""
