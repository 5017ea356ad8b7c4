"""How results show themselves where they are looked at: HTML in a notebook, plots, DataFrames."""

from .by_depth import ByDepth
from .sheet import Sheet, Shown

__all__ = ["ByDepth", "Sheet", "Shown"]
