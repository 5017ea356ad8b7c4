"""A target that does not fit one device: its layers over several, or its tensors over several processes."""
