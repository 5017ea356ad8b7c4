"""Bets on tokens, and what they add up to."""
