"""Right verifiers made of pieces, each of which a defect replaces."""
