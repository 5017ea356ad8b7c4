"""What every page shares."""

from __future__ import annotations

from importlib.util import find_spec


def require_page_packages() -> None:
    """Raise ``ValueError`` that says how to install what the page needs, if it is missing."""
    missing = [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]
    if missing:
        raise ValueError(f"the page needs {' and '.join(missing)}: install them with pip install 'veridraft[report]'")


def duration(seconds: float) -> str:
    """Seconds as words, such as "3 min 05 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
