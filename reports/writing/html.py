"""What every page shares: its packages, its templates."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from .cells import columns_of, kind, linked


def require_page_packages() -> None:
    """Raise ``ValueError`` that says how to install what the page needs, if it is missing."""
    missing = [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]
    if missing:
        raise ValueError(f"the page needs {' and '.join(missing)}: install them with pip install 'veridraft[report]'")


def duration(seconds: float) -> str:
    """Seconds as words, such as "3 min 05 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def rendered(template: str, **values: Any) -> str:
    """A template of this folder with values; raises ``ValueError`` if the packages for pages are missing."""
    require_page_packages()
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader(__package__ or "", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"columns_of": columns_of, "kind": kind, "linked": linked}
    return environment.get_template(template).render(**values)
