"""Chosen uniforms: the values at which inverse distribution functions and accept tests go wrong.

Whatever the convention of a verifier, no uniforms of [0, 1) may bring out a string to which the target gives
probability 0, or a token outside the vocabulary, or an exception.  Chance shows such an event too rarely: ``u <= a``
where ``u < a`` is meant accepts an impossible token at u = 0 alone, and a cumulative sum that rounding leaves below 1
is passed by the largest uniforms alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from veridraft.theory.rows.distributions import NO_TOKEN, check_count
from veridraft.theory.rows.trees import Context

from ...batches.rows import Floats, Ints
from ...forms.calls import Caller, CallError
from ...forms.drawing import Drawing
from ...forms.form import Arguments, Form, Inputs
from ...forms.guard import Fault
from .generator import Chooser, ChosenGenerator
from .plans import PLANS, UniformPlan, boundaries

SHOWN = 12
"""How many uniforms a finding's text shows."""

TRIES = 8
"""How many drawn values are tried for each chosen one, to see whether it matters."""

DRAFTS, REPEATS = 4, 8
"""Drafts of each request, and how often each is decided under a plan that is not fixed."""

MOST_CALLS = 140
"""About how many trials of a case that makes for each request."""

MOST_REPLACED = 64
"""Among how many of the first uniforms those that matter are sought."""


@dataclass(frozen=True, eq=False)
class ChosenFinding:
    """A call that chosen uniforms led to something that no lossless verifier does.

    Fields
    ------
    case, request : where; request 0 if a call of a whole batch failed, and no trial of it alone
    uniforms : the plan that led to it, in words
    values : the uniforms that were handed over, in order, arrays flattened
    essential : places among the values: those that no drawn value could stand for, the others being drawn ones.  If
        empty, drawn uniforms do it too; ``None`` if this could not be found out
    inputs : the arrays of the trial; none in the form ``generate``
    emitted : the emitted tokens; empty if the call failed
    fault : what went wrong with the call; ``None`` for a string to which the target gives probability 0
    detail : what happened, in words
    """

    case: str
    request: int
    uniforms: str
    values: tuple[float, ...]
    essential: tuple[int, ...] | None
    inputs: Arguments
    emitted: Context
    fault: Fault | None
    detail: str

    @property
    def chance(self) -> str:
        """How likely a generator does the same, in words."""
        if self.essential is None:
            return "how rare such uniforms are was not found out"
        if not self.essential:
            return "no exact value is needed: other uniforms do the same"
        if len(self.essential) == 1:
            return ("one uniform matters; if no other value does the same, a generator of float64 draws it once in "
                    "2**53 times, one of float32 once in 2**24")  # fmt: skip
        return f"{len(self.essential)} uniforms matter at once, so that hardly any run would show it"

    def text(self) -> str:
        """The finding in one paragraph."""
        places = range(len(self.values)) if self.essential is None else self.essential
        shown = [f"{self.values[place]!r} as uniform {place + 1}" for place in places][:SHOWN]
        chosen = f"with {', '.join(shown)} of {len(self.values)}" if shown else f"with {self.uniforms}"
        tokens = f"; the drafted tokens were {self.inputs[-1].tolist()}" if self.inputs else ""
        return f"{chosen}, {self.detail}{tokens} ({self.chance})"


@dataclass(frozen=True, eq=False)
class ChosenUniforms:
    """What chosen uniforms brought out in one case.

    Fields
    ------
    findings : at most one for each plan and fault, the plainest plan first; empty if nothing was found
    not_injected : methods of the generator that were called and drew as always, by name
    calls : how many calls were made
    uniforms : how many uniforms were chosen; 0: the callable asks for none, and nothing was tried
    """

    findings: tuple[ChosenFinding, ...]
    not_injected: tuple[str, ...]
    calls: int
    uniforms: int


def chosen_uniforms(
    caller: Caller, drawing: Drawing, rng: np.random.Generator, *, drafts: int = DRAFTS, repeats: int = REPEATS,
    left: Callable[[int], bool] = lambda trials: True,
) -> ChosenUniforms:  # fmt: skip
    """What a verifier does when its uniforms are chosen: every plan of ``PLANS`` on some drafts of a case.

    Parameters
    ----------
    caller : the verifier
    drawing : the draws of the case
    rng : draws the drafts, and the uniforms that are not chosen
    drafts : how many drafts of each request
    repeats : how often each draft is decided under a plan that is not fixed; in one batch for a batched verifier
    left : whether so many trials may still be called for; the plainest plans come first

    A finding is reduced to the uniforms that matter.  A generator of torch cannot be chosen for: nothing is called.

    A verifier that accepts by ``<=`` emits the impossible token 0, and one that accepts by ``<`` does not:

    >>> from veridraft.simulate.forms.cases import Case
    >>> from veridraft.theory import Chain, MarkovPair
    >>> def verify(target, draft, tokens, rng, accepts=np.less):
    ...     p, q, token = target[0], draft[0], tokens[0]
    ...     if accepts(rng.random(), p[token] / q[token]):
    ...         return [token]
    ...     weights = np.maximum(p - q, 0)
    ...     return [rng.choice(len(p), p=weights / weights.sum())]
    >>> case = Case("zero", MarkovPair([[0.0, 1.0]] * 2, [[0.5, 0.5]] * 2), Chain(1), "a token of probability 0")
    >>> drawing, rng = Drawing(case, Form.CHAIN), np.random.default_rng(0)
    >>> chosen_uniforms(Caller(verify, Form.CHAIN), drawing, rng, drafts=16).findings
    ()
    >>> broken = Caller(lambda *arguments: verify(*arguments, accepts=np.less_equal), Form.CHAIN)
    >>> chosen_uniforms(broken, drawing, rng, drafts=16).findings[0].text().split(" (")[0]
    'with 0.0 as uniform 1 of 1, [0] was emitted, with token 0 of probability 0 at place 0; the drafted tokens were [0]'
    """
    check_count("drafts", drafts, 1)
    check_count("repeats", repeats, 1)
    if caller.arrays != "numpy":
        return ChosenUniforms((), ("torch.Generator",), 0, 0)
    run = _Run(caller, drawing, rng)
    drawn = run.drawn(drafts)
    for plan in PLANS:
        for inputs in drawn:
            for piece in _pieces(inputs, 1 if plan.fixed else repeats, caller.batched):
                if run.in_vain or not left(len(piece.trials)):
                    return run.result()
                run.look(plan, piece)
    return run.result()


@dataclass(frozen=True, eq=False)
class _Call:
    """One call: the uniforms that were handed over, and the first trial in which something went wrong, if any."""

    values: tuple[float, ...]
    trial: int | None = None
    emitted: Context = ()
    fault: Fault | None = None
    detail: str = ""


class _Run:
    """The calls so far, and what they brought out."""

    def __init__(self, caller: Caller, drawing: Drawing, rng: np.random.Generator) -> None:
        self.caller, self.drawing, self.rng = caller, drawing, rng
        self.found: dict[tuple[str, Fault | None], ChosenFinding] = {}
        self.drawn_otherwise: set[str] = set()
        self.calls = self.uniforms = 0

    def drawn(self, drafts: int) -> list[Inputs]:
        """Drafts of each request; in the form ``generate`` as many trials without arrays."""
        trials = drafts * self.drawing.requests
        if self.caller.form is Form.GENERATE:
            return [Inputs((), 0, np.arange(trials))]
        return self.drawing.draw(trials, self.rng)[0]

    @property
    def in_vain(self) -> bool:
        """Whether a call asked for no uniform: then none can be chosen."""
        return self.calls > 0 and self.uniforms == 0

    def look(self, plan: UniformPlan, inputs: Inputs) -> None:
        """Call with the uniforms of a plan, and keep what goes wrong for the first time."""
        call = self._call(plan.chooser(boundaries(inputs.arrays, self.drawing)), inputs)
        if call.detail and call.values and (plan.uniforms, call.fault) not in self.found:
            self.found[plan.uniforms, call.fault] = self._reduced(plan, inputs, call)

    def result(self) -> ChosenUniforms:
        """All of it."""
        findings = tuple(self.found.values())
        return ChosenUniforms(findings, tuple(sorted(self.drawn_otherwise)), self.calls, self.uniforms)

    def _call(self, chooser: Chooser, inputs: Inputs) -> _Call:
        generator = ChosenGenerator(chooser, int(self.rng.integers(2**62)))
        try:
            call = self._judged(self._emitted(inputs, generator), inputs)
        except CallError as error:
            call = _Call((), None, (), error.fault, f"the call failed ({error})")
        self.calls += 1
        self.uniforms += len(generator.handed)
        self.drawn_otherwise.update(generator.drawn_otherwise)
        return replace(call, values=tuple(generator.handed))

    def _emitted(self, inputs: Inputs, generator: ChosenGenerator) -> Ints:
        """The emitted tokens (T, L + 1) of one call."""
        if self.caller.form is Form.GENERATE:
            return self.caller.generate(len(inputs.trials), generator, self.drawing.length)
        return self.caller.decide(inputs, generator, self.drawing.length)[0]

    def _judged(self, tokens: Ints, inputs: Inputs) -> _Call:
        """The first trial that emitted what no lossless verifier does."""
        for place, trial in enumerate(inputs.trials):
            emitted = tuple(tokens[place][tokens[place] != NO_TOKEN].tolist())
            fault, detail = self._wrong(emitted, int(trial) % self.drawing.requests)
            if detail:
                return _Call((), place, emitted, fault, detail)
        return _Call(())

    def _wrong(self, emitted: Context, request: int) -> tuple[Fault | None, str]:
        """What is wrong with emitted tokens, in words; empty if nothing is."""
        tables, number = self.drawing.tables[request], 0
        for place, token in enumerate(emitted):
            if not 0 <= token < self.drawing.columns:
                return Fault.OUTSIDE_VOCABULARY, f"{list(emitted)} was emitted, {token} being outside the vocabulary"
            if token >= tables.vocabulary_size:
                return None, f"{list(emitted)} was emitted, with the padding {token} at place {place}"
            if tables.target[place][number, token] == 0:
                return None, f"{list(emitted)} was emitted, with token {token} of probability 0 at place {place}"
            number = number * tables.vocabulary_size + token
        return None, ""

    def _reduced(self, plan: UniformPlan, inputs: Inputs, call: _Call) -> ChosenFinding:
        """The finding of a call that went wrong, by one trial and the uniforms that matter, where that can be had."""
        essential = None
        alone = None if call.fault is Fault.TIMED_OUT else self._alone(plan, inputs, call)
        if alone is not None:
            inputs, call = alone
            call, essential = self._essential(inputs, call)
        place = call.trial or 0
        arrays = tuple(array[place] for array in inputs.arrays)
        request = int(inputs.trials[place]) % self.drawing.requests
        return ChosenFinding(self.drawing.case.name, request, plan.uniforms, call.values, essential, arrays,
                             call.emitted, call.fault, call.detail)  # fmt: skip

    def _alone(self, plan: UniformPlan, inputs: Inputs, call: _Call) -> tuple[Inputs, _Call] | None:
        """One trial that goes wrong likewise when it is called alone."""
        if len(inputs.trials) == 1:
            return inputs, call
        places = range(min(len(inputs.trials), TRIES)) if call.trial is None else [call.trial] * TRIES
        for place in places:
            single = _taken(inputs, np.array([place]))
            again = self._call(plan.chooser(boundaries(single.arrays, self.drawing)), single)
            if again.detail and again.fault is call.fault:
                return single, again
        return None

    def _essential(self, inputs: Inputs, call: _Call) -> tuple[_Call, tuple[int, ...]]:
        """The call with drawn uniforms where they do as well, and the places where they do not."""
        essential, place = [], 0
        while place < min(len(call.values), MOST_REPLACED):
            tries = (self._call(_replaced(call.values, place), inputs) for _ in range(TRIES))
            found = next((again for again in tries if again.detail and again.fault is call.fault), None)
            if found is None:
                essential.append(place)
            call, place = found or call, place + 1
        return call, tuple(essential)


def _replaced(values: tuple[float, ...], place: int) -> Chooser:
    """The same uniforms again, but for one that is drawn, and for all behind them."""

    def choose(first: int, count: int, rng: np.random.Generator) -> Floats:
        known = np.array(values)[first : first + count]
        chosen = np.concatenate([known, rng.random(count - len(known))])
        if first <= place < first + count:
            chosen[place - first] = rng.random()
        return chosen

    return choose


def _pieces(inputs: Inputs, repeats: int, batched: bool) -> Iterator[Inputs]:
    """What is called at once: all trials as often as repeated, or one trial at a time, that often."""
    if batched:
        yield _taken(inputs, np.tile(np.arange(len(inputs.trials)), repeats))
        return
    for place in range(len(inputs.trials)):
        yield from (_taken(inputs, np.array([place])) for _ in range(repeats))


def _taken(inputs: Inputs, places: Ints) -> Inputs:
    return Inputs(tuple(array[places] for array in inputs.arrays), inputs.trunk, inputs.trials[places])
