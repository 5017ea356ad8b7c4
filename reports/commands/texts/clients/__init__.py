"""Servers that are asked for texts and rows."""
