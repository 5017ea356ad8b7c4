"""A head on a target, taught to go on from the target's own states: texts, features on disk, training."""
