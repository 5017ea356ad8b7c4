"""What every command and study runs on: the console, progress, finished pieces, loading."""
