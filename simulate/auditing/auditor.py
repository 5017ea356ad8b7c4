"""The auditor: is this verifier, seen from outside, lossless?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from veridraft.theory.policies.base import Policy
from veridraft.theory.rows.distributions import check_count

from ..batches.intervals import Progress, check_level
from ..forms.calls import Caller
from ..forms.cases import Case
from ..forms.choice import chosen_cases, target_case
from ..forms.coarse import COARSE, on_grid
from ..forms.drawing import Drawing
from ..forms.form import Form, form_named
from ..forms.guard import Guard
from ..forms.pace import Pace
from .case_run import CaseRun
from .course import AuditInterrupted, Course, Told, Wishes
from .verdict import Audit, Verdict

__all__ = ["TRIALS", "AuditInterrupted", "assert_lossless", "audit"]

TRIALS = {False: 200_000, True: 2_000_000}
"""Trials of an audit that says nothing of them, one at a time and batched."""

OF_LIMIT = 4
"""A batch is not to take more than this part of a call's time limit."""

CHUNK_SECONDS = 0.5
"""Trials one at a time are given in chunks that take no longer than this."""


def audit(
    verifier: Callable[..., Any],
    form: str | Form = "chain",
    *,
    batched: bool = False,
    arrays: str = "numpy",
    dtype: str = "float64",
    device: str = "cpu",
    cases: Sequence[Case] | None = None,
    policy: Policy | str | None = None,
    target: Any = None,
    length: int | None = None,
    end: int | None = None,
    draft: Any = None,
    drafts: int | None = None,
    second_target: Any = None,
    more_cases: bool = False,
    multiplicity: bool = True,
    pad_to: int | None = None,
    level: float = 1e-6,
    trials: int | None = None,
    seconds: float | None = None,
    call_seconds: float | None = 10.0,
    batch: int | None = None,
    chosen_uniforms: bool = True,
    mechanism: bool = True,
    faulty_rows: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
    told: Told | None = None,
) -> Audit:
    """The evidence on whether a verifier preserves the target's law of strings.

    Drafts are drawn, the verifier is called, and what it emits, completed by the target to strings of L + 1 tokens,
    is held against the target's law: see :mod:`.evidence` for the test, which stops as soon as it
    can tell and is valid whenever it stops.

    Parameters
    ----------
    verifier, form, batched : a callable under a contract of :mod:`veridraft.simulate.forms.form`
    arrays, dtype, device : "numpy" or "torch", the name of the rows' type, and with torch the device of tensors and
        generator.  The law that strings are held against is that of the rows in float64; for half floats all rows are
        put on a grid that the type holds exactly, so that rounding is no deviation
    cases : the instances to try; by default those of :func:`veridraft.simulate.forms.cases.default_cases`
    policy : instead of cases: how drafts are drawn (a policy, or a text such as "Static(2x2)"), on the rows of the
        default cases that it fits
    target, length : instead of cases, in the form ``generate``, which knows its own models: what has
        ``vocabulary_size`` and ``target_row(context)``, the law that strings of ``length`` tokens are judged against
    end : with a target: the token that ends a text, behind which it emits nothing else
    draft, drafts : with a target: what has ``draft_row(context)`` (by default the target, if it has), and how many
        tokens a round drafts; the rows are for the names of mechanisms alone
    second_target : another target, such as the rows of the verifying pass: after LOSSY it is said whether the strings
        have its law, so that the rows part the texts and not the rule
    more_cases : batched chains of unequal length, some empty, with -1 behind them; rows of 151,936 columns
    multiplicity : in the form ``tree``, whether equal siblings are repeated nodes (True) or one node
    pad_to : rows are padded with zeros up to this many columns
    level : the probability with which a lossless verifier is called lossy, at most; split over cases and requests
    trials : how many in all, at most (200,000; batched 2,000,000): judged, replayed, with chosen uniforms and to
        explain a finding
    seconds : stop after about this long.  Without a finding the verdict is NO_DEFECT_FOUND, with the sensitivity that
        was reached, if every case was tried; UNDECIDED if one was not, or if trials are asked for too
    call_seconds : the time limit of one call; ``None`` for none.  Batches grow as far as they fit into a part of it
    batch : trials in one call, at most (16,384)
    chosen_uniforms : try the extreme uniforms too, if the callable takes a NumPy generator and nothing else was found
    mechanism : after LOSSY, draw further to locate the departure and to find a likely mechanism and a telling trial
    faulty_rows : hand over rows of nan, of zeros and of double weight too, and note what comes out
    seed : from which all randomness comes
    progress : told after each look (trials done, trials asked for)
    told : told the audit as it stands at the verdict, before a finding is explained

    Raises ``ValueError`` and ``TypeError`` for what is asked wrongly, before any call.  What the callable does wrongly
    is not raised but said in the result: verdict ERROR.  Raises :class:`AuditInterrupted` on Ctrl-C.
    """
    kind = form_named(form)
    if seconds is not None and not seconds > 0:
        raise ValueError(f"seconds must be above 0, but is {seconds}")
    most = None if batch is None else check_count("batch", batch, 1)
    pace = Pace(batched, most, _chunk_seconds(batched, call_seconds, seconds))
    caller = Caller(verifier, kind, batched, arrays, dtype, Guard(call_seconds), device, pace)
    chosen = chosen_cases(kind, batched, cases, policy, target, length, draft, end, more_cases)
    if dtype in COARSE and kind is not Form.GENERATE:
        chosen = [on_grid(case, COARSE[dtype]) for case in chosen]
    wishes = Wishes(
        check_level("level", level), check_count("trials", TRIALS[batched] if trials is None else trials, 1),
        trials is not None, check_count("seed", seed, 0), chosen_uniforms, mechanism,
        None if drafts is None else check_count("drafts", drafts, 1),
        _second(kind, second_target, length, end), faulty_rows, progress, told,
    )  # fmt: skip
    share = level / sum(case.requests for case in chosen)
    streams = np.random.SeedSequence(seed).spawn(len(chosen) + 1)
    runs = [
        CaseRun(caller, Drawing(case, kind, multiplicity, pad_to), share, np.random.default_rng(stream))
        for case, stream in zip(chosen, streams[:-1], strict=True)
    ]
    return Course(caller, runs, wishes, seconds).run(np.random.default_rng(streams[-1]))


def _chunk_seconds(batched: bool, call_seconds: float | None, seconds: float | None) -> float | None:
    """How long a chunk of trials may take: part of a call's limit, and a small part of the whole time."""
    own = (call_seconds / OF_LIMIT if call_seconds else None) if batched else CHUNK_SECONDS
    limits = [limit for limit in (own, seconds / 50 if seconds else None) if limit is not None]
    return min(limits, default=None)


def _second(form: Form, target: Any, length: int | None, end: int | None) -> list[Drawing]:
    """The second target's strings; none without a second target."""
    if target is None:
        return []
    if form is not Form.GENERATE or length is None:
        raise ValueError("second_target belongs to a target and a length, in the form generate")
    return [Drawing(target_case(target, length, end=end), form)]


def assert_lossless(verifier: Callable[..., Any], form: str | Form = "chain", **options: Any) -> Audit:
    """The audit of a verifier in which no defect was found; ``AssertionError`` for every other verdict.

    The error's message is the audit's text: the counterexample if the verifier is lossy, and if the audit was cut
    short or the callable cannot be audited, that nothing was shown.  ``options`` are those of
    :func:`~veridraft.simulate.auditing.auditor.audit`, which raises ``ValueError`` or ``TypeError`` for wrong ones.
    """
    __tracebackhide__ = True
    result = audit(verifier, form, **options)
    if result.verdict is not Verdict.NO_DEFECT_FOUND:
        raise AssertionError(result.text())
    return result
