"""What a defect is, and what a trap is: a broken verifier beside the correct one, and one that only looks broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..forms.cases import Case, default_cases
from ..forms.form import Form

Batched = Callable[..., Any]
"""A batched verifier of its form; in the form ``generate`` a builder, ``build(pair, depth, context)``, of one."""


@dataclass(frozen=True, eq=False)
class Defect:
    """A way in which a decoder was lossy.

    Fields
    ------
    number : its row in the list of real defects; 44 is ours, later ones as they came
    name : what is wrong, in snake_case
    seen_in : the repository and the issue, pull request or commit
    mechanism : one sentence, which an audit gives as the likely mechanism
    form : how both are called
    broken, correct : the verifiers, which differ in the defect alone
    cases : instances built to show it, where the default cases of the form do not, or hardly
    variants : the same mechanism written in other ways, which have other laws; an audit looks for them too
    """

    number: int
    name: str
    seen_in: str
    mechanism: str
    form: Form
    broken: Batched
    correct: Batched
    cases: tuple[Case, ...] = ()
    variants: tuple[Batched, ...] = ()

    @property
    def shown_on(self) -> tuple[Case, ...]:
        """The cases on which it shows: its own, or else the default cases of its form."""
        return self.cases or default_cases(self.form, batched=True)


@dataclass(frozen=True, eq=False)
class Trap:
    """A verifier that is lossless and was, or may be, taken for lossy.

    Fields
    ------
    name : what it does, in snake_case
    form, verifier : as in :class:`Defect`
    looks_wrong, is_right : why, one sentence each
    source : where it is published, or where it was reported
    cases : instances on which it shows what it does; the default cases of the form if empty
    """

    name: str
    form: Form
    verifier: Batched
    looks_wrong: str
    is_right: str
    source: str
    cases: tuple[Case, ...] = ()
