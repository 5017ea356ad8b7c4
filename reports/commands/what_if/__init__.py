"""``veridraft what-if``: what to run, and how fast it is, from acceptance and time as people know them."""
