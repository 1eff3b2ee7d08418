"""The rows of `benchmarks/robust.py`, one file each; `tests/attack` runs them smaller."""
