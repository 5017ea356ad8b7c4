"""How each engine's sampler is called on a CPU: the glue, the audits, the exact cases."""
