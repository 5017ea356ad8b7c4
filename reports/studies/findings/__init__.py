"""Published claims against exact cases."""
