"""Benchmarks: `make bench` runs them and prints what they measured. They assert nothing."""
