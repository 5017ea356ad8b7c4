"""Throughput, predicted and measured in one run."""
