"""``python -m veridraft``: the command ``veridraft``."""

from veridraft.reports.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
