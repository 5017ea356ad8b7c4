"""Which cases an audit tries: those that it is given, the default ones, or those made of a policy or of a target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from veridraft.theory import Chain, Context, Pair, Policy, Row, parse_policy
from veridraft.theory.distributions import check_count

from .cases import Case, default_cases, policy_cases
from .forms import Form, check_form


class TargetOnly(Pair):
    """The pair of a target of which no draft is known: its draft row is its target row.

    target : anything with ``vocabulary_size`` and ``target_row(context)``, which gives the next token's law (V,)
        behind a tuple of tokens, as any sequence of numbers.  ``TypeError`` if it lacks one of them.
    """

    exact = False

    def __init__(self, target: Any) -> None:
        if not hasattr(target, "vocabulary_size") or not callable(getattr(target, "target_row", None)):
            raise TypeError(f"target must have vocabulary_size and target_row(context), but is {target!r}")
        self.target, self.vocabulary_size = target, check_count("vocabulary_size", target.vocabulary_size, 1)

    def target_row(self, context: Context) -> Row:
        """The target's row (V,) in float64; ``ValueError`` if the target gives none at the context."""
        try:
            return np.asarray(self.target.target_row(context), dtype=np.float64)
        except Exception as error:
            raise ValueError(f"target has no row at context {context}: {type(error).__name__}: {error}") from error

    def draft_row(self, context: Context) -> Row:
        """The target's row: nobody reads it."""
        return self.target_row(context)


def target_case(target: Any, length: int) -> Case:
    """The case of the form ``generate`` in which strings of ``length`` >= 1 tokens are judged against the target.

    target : a :class:`~veridraft.theory.Pair`, of which only the target is read, or what :class:`TargetOnly` takes
    """
    pair = target if isinstance(target, Pair) else TargetOnly(target)
    depth = check_count("length", length, 1) - 1
    return Case("target", pair, Chain(depth), f"the first {length} tokens of the given target")


def chosen_cases(
    form: Form, batched: bool, cases: Sequence[Case] | None, policy: Policy | str | None, target: Any,
    length: int | None,
) -> Sequence[Case]:  # fmt: skip
    """The cases of an audit, checked; ``ValueError`` or ``TypeError`` for what does not fit together."""
    given = [name for name, value in (("cases", cases), ("policy", policy), ("target", target)) if value is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other: give one of them")
    _check_target(form, target, length, cases is not None)
    if target is not None:
        return [target_case(target, length or 0)]
    if policy is not None:
        return _of_policy(policy, form, batched)
    return default_cases(form, batched) if cases is None else _checked(cases, form, batched)


def _of_policy(policy: Policy | str, form: Form, batched: bool) -> Sequence[Case]:
    drawn = parse_policy(policy) if isinstance(policy, str) else policy
    if not isinstance(drawn, Policy):
        raise TypeError(f"policy must be a Policy or a text that names one, but is {policy!r}")
    return policy_cases(drawn, check_form(form, drawn), batched)


def _check_target(form: Form, target: Any, length: int | None, has_cases: bool) -> None:
    """Raise unless the form ``generate`` has cases or a target with a length, and no other form has one."""
    if (target is None) != (length is None):
        raise ValueError("target and length belong together: give both, or none")
    if form is not Form.GENERATE and target is not None:
        raise ValueError(f"target is for the form generate, but form is {form.value}")
    if form is Form.GENERATE and target is None and not has_cases:
        raise ValueError("the form generate needs target, the law that strings are judged against, and length")


def _checked(cases: Sequence[Case], form: Form, batched: bool) -> Sequence[Case]:
    if not cases:
        raise ValueError("cases must not be empty")
    for case in cases:
        check_form(form, case.policy)
        if case.lengths is not None and not (batched and form is Form.CHAIN):
            raise ValueError(f"case {case.name!r} has lengths, which are for the batched form chain alone")
        if not batched and case.requests > 1:
            raise ValueError(f"case {case.name!r} has {case.requests} contexts; without batched, a case has one")
    return cases
