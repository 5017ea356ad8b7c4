"""``veridraft certify``: exact certificates on many random pairs."""
