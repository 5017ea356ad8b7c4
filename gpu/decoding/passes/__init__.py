"""Passes of a network over trees: caches, masks, packed layers, compiled passes, clocks."""
