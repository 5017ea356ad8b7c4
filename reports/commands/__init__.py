"""The commands that a person types, one folder each."""
