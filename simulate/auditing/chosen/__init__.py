"""Audits with uniforms chosen at the boundaries of decisions, where chance would never look."""
