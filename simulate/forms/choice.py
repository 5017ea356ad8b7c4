"""Which cases an audit tries: those that are given, those of a policy, those of a target, or the default ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from veridraft.theory.pairs.base import Pair
from veridraft.theory.policies.arguments import get_policy
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Chain
from veridraft.theory.rows.distributions import Row, check_count
from veridraft.theory.rows.trees import Context

from .cases import Case, default_cases, more_cases, policy_cases
from .form import Form, check_form


class TargetOnly(Pair):
    """The pair of a target, and of a draft where one is known; without one its draft row is its target row.

    target : anything with ``vocabulary_size`` and ``target_row(context)``, which gives the next token's law (V,)
        behind a tuple of tokens, as any sequence of numbers.  ``TypeError`` if it lacks one of them.
    draft : anything with ``draft_row(context)``, likewise; by default the target, if it has such
    """

    exact = False

    def __init__(self, target: Any, draft: Any = None) -> None:
        if not hasattr(target, "vocabulary_size") or not callable(getattr(target, "target_row", None)):
            raise TypeError(f"target must have vocabulary_size and target_row(context), but is {target!r}")
        if draft is not None and not callable(getattr(draft, "draft_row", None)):
            raise TypeError(f"draft must have draft_row(context), but is {draft!r}")
        self.target, self.vocabulary_size = target, check_count("vocabulary_size", target.vocabulary_size, 1)
        self._draft = getattr(target if draft is None else draft, "draft_row", None)

    @property
    def has_draft(self) -> bool:
        """Whether the draft's rows are known."""
        return self._draft is not None

    def target_row(self, context: Context) -> Row:
        """The target's row (V,) in float64; ``ValueError`` if the target gives none at the context."""
        return _row("target", self.target.target_row, context)

    def draft_row(self, context: Context) -> Row:
        """The draft's row (V,) in float64, the target's if no draft is known; errors likewise."""
        return self.target_row(context) if self._draft is None else _row("draft", self._draft, context)


def known_draft(pair: Pair) -> bool:
    """Whether the draft's rows of a case are those of a draft."""
    return not isinstance(pair, TargetOnly) or pair.has_draft


def _row(name: str, row: Callable[[Context], Any], context: Context) -> Row:
    try:
        return np.asarray(row(context), dtype=np.float64)
    except Exception as error:
        raise ValueError(f"{name} has no row at context {context}: {type(error).__name__}: {error}") from error


class Ending(Pair):
    """A pair whose texts end: behind the token ``end`` of the text its target emits nothing but that token."""

    exact = False

    def __init__(self, pair: Pair, end: int, root: int) -> None:
        self.pair, self.end, self.root, self.vocabulary_size = pair, end, root, pair.vocabulary_size

    def target_row(self, context: Context) -> Row:
        """The row (V,), all mass on the end behind an end; tokens of the root, the first ``root``, do not count."""
        if self.end in context[self.root :]:
            return np.eye(self.vocabulary_size)[self.end]
        return np.asarray(self.pair.as_float().target_row(context))

    def draft_row(self, context: Context) -> Row:
        """The pair's."""
        return np.asarray(self.pair.as_float().draft_row(context))


def target_case(target: Any, length: int, draft: Any = None, end: int | None = None) -> Case:
    """The case of the form ``generate`` in which strings of ``length`` >= 1 tokens are judged against the target.

    target : a :class:`~veridraft.theory.Pair`, or what :class:`TargetOnly` takes; draft : likewise, for names of
    mechanisms alone; end : the token that ends a text
    """
    pair = target if isinstance(target, Pair) and draft is None else TargetOnly(target, draft)
    depth = check_count("length", length, 1) - 1
    return Case("target", pair, Chain(depth), f"the first {length} tokens of the given target", end=end)


def chosen_cases(
    form: Form, batched: bool, cases: Sequence[Case] | None, policy: Policy | str | None, target: Any,
    length: int | None, draft: Any = None, end: int | None = None, more: bool = False,
) -> Sequence[Case]:  # fmt: skip
    """The cases of an audit, checked; ``ValueError`` or ``TypeError`` for what does not fit together."""
    for name, value in (("draft", draft), ("end", end)):
        if value is not None and target is None:
            raise ValueError(f"{name} belongs to a target, in the form generate, but target is not given")
    given = [name for name, value in (("cases", cases), ("policy", policy), ("target", target)) if value is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other: give one of them")
    _check_target(form, target, length, cases is not None)
    if target is not None:
        return [target_case(target, length or 0, draft, end)]
    if policy is not None:
        return _of_policy(policy, form, batched)
    if cases is not None:
        return _checked(cases, form, batched)
    return (*default_cases(form, batched), *(more_cases(form, batched) if more else ()))


def _of_policy(policy: Policy | str, form: Form, batched: bool) -> Sequence[Case]:
    drawn = get_policy(policy)
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
