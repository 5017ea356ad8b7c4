"""Certificates for verifiers that can be looked into: every draft and every decision enumerated, nothing sampled.

A white box states its law given a draft tree, or is a callable whose only randomness is the generator that it is
handed, so that each of its decisions can be injected.  What is found is exact; the certificate is the one of
:func:`veridraft.theory.certify`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from veridraft.theory.display import ByDepth, Sheet
from veridraft.theory.pairs.base import Pair
from veridraft.theory.policies.base import Policy
from veridraft.theory.rows.distributions import NO_TOKEN, check_rows, exact
from veridraft.theory.rows.trees import Context, DraftTree
from veridraft.theory.verifiers.certificates import Certificate, certificate_of, in_arithmetic
from veridraft.theory.verifiers.certificates import certify as certify_entry
from veridraft.theory.verifiers.emission import EmittedLaw
from veridraft.theory.verifiers.table import Verifier

from ..forms.calls import Caller, CallError, check_vocabulary
from ..forms.form import Arguments, Form, Inputs, check_form
from ..forms.guard import Fault
from .every_draft import every_draft
from .injected_generator import InjectedGenerator
from .injection import MOST_RUNS, Scalar, Script

STATED = "law"
"""The form of a verifier that states its law given a tree."""


@dataclass(frozen=True, eq=False)
class EnumeratedLaw(ByDepth):
    """The law of what a white box emits, over every draft and every decision.

    Fields
    ------
    verifier, policy : what was enumerated, by name
    law : accepted tokens to the probabilities of the token after them; its ``trees`` is the number of drafts
    runs : how many runs of the callable there are, over all drafts; for a stated law the number of trees
    """

    verifier: str
    policy: str
    law: EmittedLaw
    runs: int

    @property
    def by_depth(self) -> np.ndarray:
        """(L + 1,) the probability that 0, 1, ..., L tokens are accepted: all that is emitted but the last."""
        return self.law.by_depth

    @property
    def block_efficiency(self) -> Scalar:
        """E[tau + 1], the mean number of emitted tokens; to be held against ``theory.block_efficiency``."""
        return (self.by_depth * np.arange(1, self.law.depth + 2)).sum()

    @property
    def acceptance_rate(self) -> Scalar:
        """The probability that at least one drafted token is accepted."""
        return self.by_depth[1:].sum()

    @property
    def strings(self) -> dict[Context, Scalar]:
        """The probability of every string that is emitted, the token after the accepted ones included."""
        return {
            (*accepted, int(token)): row[token]
            for accepted, row in self.law.masses.items()
            for token in np.flatnonzero(row)
        }

    def sheet(self) -> Sheet:
        """The law of the accepted length, and how much was enumerated."""
        facts = (("E[τ + 1]", self.block_efficiency), ("drafts", self.law.trees), ("runs", self.runs))
        return Sheet(f"{self.verifier} with {self.policy}, enumerated", facts, columns=self._columns())

    def certificate(self) -> Certificate:
        """The comparison of the emitted strings, completed by the target to L + 1 tokens, with the target's law."""
        return certificate_of(self.verifier, self.policy, self.law)


def certify(
    verifier: str | Verifier | Callable[..., Any] | Any,
    policy: Policy,
    pair: Pair,
    form: str | Form | None = None,
    arithmetic: str = "rational",
    context: Context = (),
    *,
    batched: bool = False,
    multiplicity: bool = True,
    any_policy: bool = False,
    most_runs: int = MOST_RUNS,
) -> Certificate:
    """The certificate of a verifier that can be looked into: a proof for that instance if rational.

    Parameters
    ----------
    verifier : a name or an entry of ``theory.VERIFIERS``, which :func:`veridraft.theory.certify` then takes over; or
        what :func:`enumerate_law` takes
    any_policy : also take a policy that an entry of the table is not known to be lossless for

    The others, and the errors, are those of :func:`enumerate_law`.

    Speculative sampling in Fractions is lossless; with the target's row for the residual it is not:

    >>> from fractions import Fraction as F
    >>> from veridraft.theory import Chain, MarkovPair
    >>> def verify(target, draft, tokens, rng, residual=lambda p, q: np.maximum(p - q, 0)):
    ...     taken = []
    ...     for p, q, token in zip(target, draft, tokens):
    ...         if not rng.random() < p[token] / q[token]:
    ...             weights = residual(p, q)
    ...             return [*taken, rng.choice(len(p), p=weights / weights.sum())]
    ...         taken.append(token)
    ...     return [*taken, rng.choice(len(p), p=target[-1])]
    >>> pair = MarkovPair([[F(1, 2), F(3, 10), F(1, 5)]] * 3, [[F(1, 5), F(1, 4), F(11, 20)]] * 3)
    >>> certify(verify, Chain(1), pair, form="chain").total_variation
    Fraction(0, 1)
    >>> broken = lambda *arguments: verify(*arguments, residual=lambda p, q: p)
    >>> certify(broken, Chain(1), pair, form="chain").total_variation
    Fraction(1, 8)
    """
    if isinstance(verifier, (str, Verifier)):
        if form is not None:
            raise ValueError(f"form is {form!r}, but an entry of theory.VERIFIERS has none: leave it out")
        return certify_entry(verifier, policy, pair, arithmetic, context, any_policy=any_policy)
    found = enumerate_law(
        verifier, policy, pair, form, arithmetic, context,
        batched=batched, multiplicity=multiplicity, most_runs=most_runs,
    )  # fmt: skip
    return found.certificate()


def enumerate_law(
    verifier: Callable[..., Any] | Any,
    policy: Policy,
    pair: Pair,
    form: str | Form | None = None,
    arithmetic: str = "rational",
    context: Context = (),
    *,
    batched: bool = False,
    multiplicity: bool = True,
    most_runs: int = MOST_RUNS,
) -> EnumeratedLaw:
    """The exact law of what a white box emits with a policy on a pair.

    Parameters
    ----------
    verifier : an object that states its law, or a callable under the contract of :mod:`veridraft.simulate.forms.form`
        whose only randomness is its generator
    form : "chain", "paths", "tree" or "generate" for such a callable; "law", or ``None``, for an object with a method
        ``law(tree)``, and "law" for a function: either returns a ``TreeLaw``, or (stopping (N,), next_token (N, V)),
        the probability of stopping at each node of a ``DraftTree`` and the row of the token emitted there
    arithmetic : "rational" needs a pair in Fractions, and hands rows of Fractions over, arrays of dtype object;
        "float" hands float64 over, and does not follow outcomes of probability below 1e-14
    context : the root
    batched : the callable takes a leading axis of trials; it is called with one trial, so that what goes wrong
        between requests is not seen
    multiplicity : in the form "tree", whether equal siblings are repeated
    most_runs : the most runs of the callable; each is made twice, to see that it does the same again

    In the form "generate" the policy only says the depth; strings are cut to L + 1 tokens.  See
    :class:`~veridraft.simulate.white_box.injected_generator.InjectedGenerator` for the methods that can be injected.

    Raises ``ValueError`` for an unknown form or arithmetic; ``TypeError`` for rational arithmetic on float rows, in
    the pair or in the callable's decisions; :class:`.NotEnumerableError` for a decision
    without a list of outcomes and for too many runs; :class:`.NotRepeatableError` for
    another source of randomness, or a state that is kept;
    :class:`~veridraft.simulate.forms.guard.CallError` if the callable raises, or returns no tokens of the vocabulary.
    """
    rows = in_arithmetic(pair, arithmetic)
    if form == STATED or (form is None and hasattr(verifier, "law")):
        masses, count = _stated(getattr(verifier, "law", verifier), policy, rows, context)
        return _named(verifier, policy, EmittedLaw(masses, count, policy.depth, context, rows), count)
    if form is None:
        raise ValueError('form must be given: "law", "chain", "paths", "tree" or "generate"')
    caller = _ExactCaller(verifier, check_form(form, policy), batched)
    script = Script(rows.exact, most_runs)
    masses, count = {}, 0
    for count, (probability, inputs) in enumerate(every_draft(caller.form, policy, rows, context, multiplicity), 1):  # noqa: B007
        for share, emitted in _runs(script, caller, inputs, policy.depth + 1, rows):
            _add(masses, emitted, probability * share, rows)
    return _named(verifier, policy, EmittedLaw(masses, count, policy.depth, context, rows), script.runs_made)


class _ExactCaller(Caller):
    """Hands rows over as they are, Fractions too."""

    def handed(self, arrays: Arguments) -> tuple[Any, ...]:
        return tuple(array.copy() for array in arrays)


def _runs(
    script: Script, caller: Caller, inputs: Inputs, longest: int, rows: Pair
) -> Iterator[tuple[Scalar, Context]]:
    """Every run of the callable on one draft: its probability and the emitted tokens."""
    rng = InjectedGenerator(script)

    def run() -> Context:
        if caller.form is Form.GENERATE:
            tokens = caller.generate(1, rng, longest)
        else:
            tokens, _ = caller.decide(inputs, rng, longest)
        check_vocabulary(tokens, rows.vocabulary_size)
        return tuple(tokens[0][tokens[0] != NO_TOKEN].tolist())

    try:
        yield from script.runs(run)
    except CallError as failure:
        raise _explained(failure, rows.exact) from failure.__cause__


def _explained(failure: CallError, exact: bool) -> CallError:
    """The error of a failed call, with a hint if the callable raised."""
    if failure.fault is not Fault.RAISED:
        return failure
    hint = (
        'it was handed Fractions, in arrays of dtype object: if it cannot work on them, pass arithmetic="float"'
        if exact
        else "its uniforms were objects that are compared but never drawn: if it cannot work on them, use audit()"
    )
    return CallError(failure.fault, f"{failure}; {hint}")


def _add(masses: dict[Context, Any], emitted: Context, probability: Scalar, rows: Pair) -> None:
    """Add the probability of an emitted string: accepted tokens, and the one after them."""
    accepted, token = emitted[:-1], emitted[-1]
    if accepted not in masses:
        masses[accepted] = np.full(rows.vocabulary_size, probability * 0)
    masses[accepted][token] += probability


def _stated(law: Callable[[DraftTree], Any], policy: Policy, rows: Pair, context: Context) -> tuple[dict, int]:
    """The masses of a stated law, averaged over every tree, and the number of trees."""
    masses: dict[Context, Any] = {}
    count = 0
    for count, (probability, tree) in enumerate(policy.enumerate(rows, context), 1):  # noqa: B007
        stopping, next_token = _checked_law(law(tree), tree)
        for node in np.flatnonzero(stopping):
            accepted, mass = tree.context(int(node)), next_token[node] * (stopping[node] * probability)
            masses[accepted] = masses[accepted] + mass if accepted in masses else mass
    return masses, count


def _checked_law(stated: Any, tree: DraftTree) -> tuple[np.ndarray, np.ndarray]:
    """Where the law stops (N,) and what it then emits (N, V), after every check."""
    stopping, next_token = stated if isinstance(stated, tuple) else (stated.stopping, stated.next_token)
    stopping, next_token = _stated_in("stopping", stopping, tree), _stated_in("next_token", next_token, tree)
    if stopping.shape != (tree.size,) or next_token.shape != tree.target.shape:
        raise ValueError(f"stopping and next_token must be {(tree.size,)} and {tree.target.shape}, "
                         f"but are {stopping.shape} and {next_token.shape}")  # fmt: skip
    check_rows("stopping", stopping)
    check_rows("next_token", next_token[np.flatnonzero(stopping)])
    return stopping, next_token


def _stated_in(name: str, values: Any, tree: DraftTree) -> np.ndarray:
    """The values as an array in the tree's arithmetic."""
    array = np.asarray(values)
    if not tree.is_exact:
        return array.astype(np.float64)
    if array.dtype.kind == "f":
        raise TypeError(f'{name} is stated in floats for a tree in Fractions: state Fractions, or pass '
                        'arithmetic="float"')  # fmt: skip
    return exact(array) if array.dtype.kind in "iu" else array


def _named(verifier: Any, policy: Policy, law: EmittedLaw, runs: int) -> EnumeratedLaw:
    name = getattr(verifier, "name", None) or getattr(verifier, "__name__", type(verifier).__name__)
    return EnumeratedLaw(str(name), policy.name, law, runs)
