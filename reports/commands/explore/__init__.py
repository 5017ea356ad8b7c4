"""The command that writes the explorer: a page whose sliders show what a tree gives."""
