"""``veridraft crosscheck``: predicted against measured on real models, and an engine's report."""
