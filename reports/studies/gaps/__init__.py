"""What each verifier misses of the tree-level optimum."""
