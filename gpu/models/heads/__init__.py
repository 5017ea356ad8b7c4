"""Heads: small networks that go on from a target's own states, and the files that hold them."""
