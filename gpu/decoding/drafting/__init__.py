"""Drafting a batch of trees: level by level along a skeleton, as the theory samples them, or out of the text."""
