"""``assert_lossless``: an audit as a test's assertion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .auditor import audit
from .forms import Form
from .verdict import Audit, Verdict


def assert_lossless(verifier: Callable[..., Any], form: str | Form = "chain", **options: Any) -> Audit:
    """The audit of a verifier in which no defect was found; ``AssertionError`` for every other verdict.

    The error's message is the audit's text: the counterexample if the verifier is lossy, and if the audit was cut
    short or the callable cannot be audited, that nothing was shown.  ``options`` are those of
    :func:`~veridraft.simulate.auditor.audit`, which raises ``ValueError`` or ``TypeError`` for wrong ones.
    """
    __tracebackhide__ = True
    result = audit(verifier, form, **options)
    if result.verdict is not Verdict.NO_DEFECT_FOUND:
        raise AssertionError(result.text())
    return result
