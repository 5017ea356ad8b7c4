"""Code that people run, audited."""
