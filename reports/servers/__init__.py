"""Servers that are asked for texts, and where the rows along these come from."""
