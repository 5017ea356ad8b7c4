"""What may have been meant by a name that is not known; errors all over the house end with it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: object, known: Iterable[str]) -> str | None:
    """The known name that is nearest, case aside; ``None`` if none is near."""
    spelt = {one.lower(): one for one in known}
    near = get_close_matches(str(name).lower(), spelt, n=1)
    return spelt[near[0]] if near else None


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """ "; did you mean ...?" for a name that is near a known one, else nothing."""
    near = nearest(name, known)
    return f"; did you mean {near}?" if near else ""
