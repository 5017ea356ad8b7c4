"""DySpec's trees against other shapes at the same roots of a real pair."""
