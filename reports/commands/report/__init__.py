"""``veridraft report``: the main job, its tables and its page."""
