"""`make demo`: the whole pipeline on one machine, watched live."""
