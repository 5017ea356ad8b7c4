"""Drafting a batch of trees, level by level."""
