"""A choice of the tree before drafting: data, networks, baselines, and what they are worth."""
