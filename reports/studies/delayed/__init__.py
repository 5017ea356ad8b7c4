"""Where delayed expansion beats branching at the root."""
