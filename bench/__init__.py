"""Measurements. `make bench` runs them all; each script also runs alone: `python -m bench.mail`."""
