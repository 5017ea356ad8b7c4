"""What a person runs and reads: the ``veridraft`` command, its text tables, and one HTML page.

Nothing is imported here, so that a command without PyTorch, matplotlib or Jinja can still say what it needs.
"""
