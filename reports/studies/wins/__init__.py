"""Where each verifier and delayed expansion win, at the same roots."""
