"""The command ``selector``: a choice of the tree before drafting, taught and evaluated."""
