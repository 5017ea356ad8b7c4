"""Policies as arguments: given as text, named in errors, refused where they have too many trees or levels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isnan, log10
from numbers import Real

from ..pairs.base import MissingRowError
from ..rows.near_names import nearest
from ..rows.trees import Context
from .base import Policy
from .paths import Chain, Delayed, Iid

MOST_TREES = 10_000_000
"""More trees than this are not listed, unless the caller asks for it."""

MOST_LEVELS = 200
"""Laws over all trees are computed by recursion, which goes no deeper."""


class OutOfReachError(ValueError):
    """No exact way is known, or the one that is known would be too much work."""


CLOSE = 1e-6
"""Logarithms of two numbers of trees that are closer than this are too close to tell which is larger."""


def get_policy(policy: str | Policy) -> Policy:
    """The policy itself, or the one that a text such as ``Iid(4, 2)`` names (:func:`.parse_policy`).

    Raises ``TypeError`` for anything else, ``ValueError`` for a text that names none.
    """
    if isinstance(policy, str):
        return parse_policy(policy)
    if not isinstance(policy, Policy):
        raise TypeError(f"policy must be a Policy, or its text, such as 'Iid(2, 1)', but is {policy!r}")
    return policy


@contextmanager
def naming(policy: Policy, context: Context) -> Iterator[None]:
    """Name the policy and its root in the error for a row that it asks for and that is not known."""
    try:
        yield
    except MissingRowError as error:
        raise MissingRowError(f"policy {policy!r} at the context {context} asks for an unknown row: {error}") from None


def check_most(name: str, most: float) -> float:
    """The limit as it is; raises unless it is a number of at least 1, infinity included."""
    if isinstance(most, bool) or not isinstance(most, Real):
        raise TypeError(f"{name} must be a number, but is {most!r}")
    if isnan(most) or most < 1:
        raise ValueError(f"{name} must be at least 1, but is {most}")
    return float(most)


def too_many_trees(policy: Policy, vocabulary_size: int, most: float) -> float | None:
    """The decimal logarithm of the number of trees if they can be more than ``most``; ``None`` if not.

    The number itself, which may have millions of digits, is formed only where it is about ``most``.  Raises
    ``OutOfReachError`` for a policy of more than ``MOST_LEVELS`` levels.
    """
    limit = log10(check_most("most_trees", most))
    check_levels(policy)
    digits = policy.log_tree_count(vocabulary_size, most)
    if abs(digits - limit) > CLOSE:
        return digits if digits > limit else None
    return digits if policy.tree_count(vocabulary_size) > most else None


def check_levels(policy: Policy) -> None:
    """Raise ``OutOfReachError`` for a policy that is deeper than laws over all trees are computed."""
    if policy.depth > MOST_LEVELS:
        raise OutOfReachError(
            f"policy {policy!r} is {policy.depth} levels deep; laws over all of its trees are computed for at most "
            f'{MOST_LEVELS}: use method="sample", or the law given a tree'
        )


POLICIES: dict[str, Callable[..., Policy]] = {"Chain(L)": Chain, "Iid(K, L)": Iid, "Delayed(K, L1, L2)": Delayed}
"""Each form of text that :func:`parse_policy` reads, with what builds the policy; other modules add theirs."""


def parse_policy(text: str) -> Policy:
    """The policy that a text such as ``Iid(4, 2)``, ``delayed(4,1,2)`` or ``static(2x2)`` names.

    The forms are the keys of ``POLICIES``, in any case; an argument is an integer, or several joined by x,
    which become a tuple.  Raises ``ValueError`` that lists the forms.
    """
    match = re.fullmatch(r"\s*([A-Za-z]+)\s*\((\s*-?\d[-\dx,\s]*)\)\s*", text)
    arguments = [argument.strip() for argument in match[2].split(",")] if match else []
    if match and all(re.fullmatch(r"-?\d+|\d+(x\d+)+", argument) for argument in arguments):
        for form, build in POLICIES.items():
            if form.split("(")[0].lower() == match[1].lower() and form.count(",") + 1 == len(arguments):
                return build(*map(_number_or_widths, arguments))
    forms = {form.split("(")[0]: form for form in POLICIES}
    near = nearest(text.split("(")[0].strip(), forms)
    meant = f"; did you mean {forms[near]}?" if near else ""
    raise ValueError(f"policy {text!r} is none of {', '.join(POLICIES)} with integers{meant}")


def _number_or_widths(text: str) -> int | tuple[int, ...]:
    return tuple(map(int, text.split("x"))) if "x" in text else int(text)
