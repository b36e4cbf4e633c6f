"""Benchmarks: each prints medians of one run and their ratios; none is a test."""
