"""Engines' own signatures to the auditor's forms."""

from .table import ADAPTERS, Adapter, get_adapter

__all__ = [
    "ADAPTERS",
    "Adapter",
    "get_adapter",
]
