"""One telling trial: a call whose answer begins with a string that comes too often, and lines that run it again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from veridraft.theory.rows.distributions import NO_TOKEN

from ...batches.rows import Ints
from ...forms.calls import Caller
from ...forms.drawing import Drawing
from ...forms.form import Form, Inputs
from ..budget import Budget
from ..chosen.generator import RecordedGenerator
from ..evidence import Evidence, Pattern, surprise
from ..findings import Finding, Sign
from .places import departure

TRIES = 1_000
"""Calls among which a telling one is sought."""

IN_WORDS = 40
"""A row of more entries than this is not printed."""


@dataclass(frozen=True, eq=False)
class Telling:
    """A trial that shows the departure.

    Fields
    ------
    case, request : where
    pattern : how its answer begins, which comes too often
    names, arrays : what the callable was given, in float64 and int64; one trial, or batched the whole batch
    trunk : levels that paths share, passed as a keyword if above 0
    seed : of the generator that it was given
    emitted : the tokens that came out for the request
    library, dtype, device, batched : how the arrays were handed over
    trials : in the form ``generate``, batched, for how many trials it was asked
    uniforms : those that the generator gave, in order, arrays flattened; ``None`` for a generator that shows none
    drawn_otherwise : methods of the generator whose draws are not among them, by name
    """

    case: str
    request: int
    pattern: Pattern
    names: tuple[str, ...]
    arrays: tuple[np.ndarray, ...]
    trunk: int
    seed: int
    emitted: tuple[int, ...]
    library: str
    dtype: str
    device: str
    batched: bool
    trials: int
    uniforms: tuple[float, ...] | None
    drawn_otherwise: tuple[str, ...]

    def save(self, path: Path) -> None:
        """Write a NumPy archive: the arrays by name, ``seed``, ``request``, ``emitted``, and ``uniforms`` if known."""
        named: dict[str, Any] = dict(zip(self.names, self.arrays, strict=True))
        named |= {"uniforms": np.array(self.uniforms)} if self.uniforms else {}
        named |= {"seed": np.int64(self.seed), "request": np.int64(self.request), "emitted": np.array(self.emitted)}
        with path.open("wb") as file:
            np.savez(file, **named)

    def to_json(self) -> dict[str, Any]:
        """The trial as JSON's kinds of values; arrays with rows of many entries are left to the archive."""
        short = all(array.shape[-1] <= IN_WORDS for array in self.arrays)
        arrays = {name: array.tolist() for name, array in zip(self.names, self.arrays, strict=True)} if short else {}
        uniforms = None if self.uniforms is None else list(self.uniforms)
        return {"case": self.case, "request": self.request, "pattern": list(self.pattern), "seed": self.seed,
                "uniforms": uniforms, "emitted": list(self.emitted)} | arrays  # fmt: skip

    def uniforms_text(self) -> str:
        """Which uniforms the archive holds, in words."""
        if self.uniforms is None:
            return f"no uniforms: a generator of {self.library} does not show what it gives"
        others = f"; what it drew by {', '.join(self.drawn_otherwise)} is not shown" if self.drawn_otherwise else ""
        if not self.uniforms:
            return f"no uniforms: it asked the generator that it is given for none{others}"
        count = len(self.uniforms)
        return f"the {count} uniforms that it drew, in order{others}" if count > 1 else f"the uniform it drew{others}"

    def script(self, path: str, imports: str, function: str) -> str:
        """Lines of Python that run the trial again from the archive, and print what comes out.

        imports : the lines that make ``function``, an expression, known
        """
        rows = [self._argument(name, array) for name, array in zip(self.names, self.arrays, strict=True)]
        rng = "np.random.default_rng(int(trial['seed']))"
        head = ["import numpy as np"]
        if self.library == "torch":
            head.append("import torch")
            rng = f"torch.Generator({self.device!r}).manual_seed(int(trial['seed']))"
        arguments = [*rows, rng] if rows else [rng, *([str(self.trials)] if self.batched else [])]
        keywords = [f"trunk={self.trunk}"] if self.trunk else []
        answer = f"{function}({', '.join(arguments + keywords)})"
        which = f"of request {self.request}: " if self.batched else ""
        expected = f"  # {which}{list(self.emitted)}"
        lines = [*head, imports, f"trial = np.load({path!r})", f"print({answer}){expected}"]
        return "\n".join(filter(None, lines))

    def _argument(self, name: str, array: np.ndarray) -> str:
        """The expression of one argument."""
        floats = array.dtype.kind == "f"
        if self.library == "torch":
            kind = self.dtype if floats else "int64"
            return f"torch.tensor(trial[{name!r}], dtype=torch.{kind}, device={self.device!r})"
        cast = f".astype({self.dtype!r})" if floats and self.dtype != "float64" else ""
        return f"trial[{name!r}]{cast}"


def telling_trial(
    caller: Caller, drawing: Drawing, finding: Finding, evidence: Evidence, budget: Budget, rng: np.random.Generator
) -> Telling | None:
    """A trial whose answer agrees with the finding's string, or with one that comes too often; ``None`` if none came.

    evidence : the counts of the request; every call has a generator of its own, so that it can be made again
    """
    request = finding.request
    often = finding.observed > finding.expected and finding.sign is not Sign.LENGTH and None not in finding.pattern
    pattern = finding.pattern if often else _too_often(evidence)
    part = budget.part(TRIES * drawing.requests)
    short: Telling | None = None
    while part.left >= drawing.requests and not part.late():
        one = _called(caller, drawing, request, pattern, rng)
        if one and len(one.emitted) >= len(pattern):
            return one
        short = short or one
    return short


def _too_often(evidence: Evidence) -> Pattern:
    """The most surprising string among those that come too often, up to the place where the law departs."""
    first = departure(evidence)
    length = evidence.length if first is None else first + 1
    for view, counts in evidence.counted():
        if view.is_prefix and len(view.axes) == length:
            law = view.probabilities.ravel()
            scores = np.where(counts / evidence.trials > law, surprise(law, counts), -1.0)
            return view.pattern(int(scores.argmax()))
    raise AssertionError("every length has its prefix")


def _called(
    caller: Caller, drawing: Drawing, request: int, pattern: Pattern, rng: np.random.Generator
) -> Telling | None:
    """One call, if what comes out agrees with the pattern as far as it goes."""
    seed = int(rng.integers(2**31))
    inputs, given = _inputs(caller, drawing, request, rng), RecordedGenerator(seed)
    shown = caller.arrays == "numpy"
    if not shown:
        seed = int(np.random.default_rng(seed).integers(2**62))
    tokens = _answer(caller, drawing, inputs, given)[0 if not caller.batched else request]
    emitted = tuple(int(token) for token in tokens[tokens != NO_TOKEN])
    if any(token != wanted for token, wanted in zip(emitted, pattern, strict=False)):
        return None
    between = ("parents",) if caller.form is Form.TREE else ()
    names = ("target", "draft", *between, "tokens") if inputs else ()
    arrays = () if inputs is None else inputs.arrays
    if not caller.batched:
        arrays = tuple(array[0] for array in arrays)
    trunk = inputs.trunk if inputs is not None and caller.form is Form.PATHS else 0
    otherwise = tuple(dict.fromkeys(given.drawn_otherwise)) if shown else ()
    return Telling(drawing.case.name, request, pattern, names, arrays, trunk, seed, emitted,
                   caller.arrays, caller.dtype, caller.device, caller.batched, drawing.requests,
                   tuple(given.handed) if shown else None, otherwise)  # fmt: skip


def _inputs(caller: Caller, drawing: Drawing, request: int, rng: np.random.Generator) -> Inputs | None:
    """One trial of every request, drawn again until all are of one shape."""
    if caller.form is Form.GENERATE:
        return None
    while True:
        drawn = drawing.draw(drawing.requests, rng)[0]
        if len(drawn) == 1:
            return drawn[0]


def _answer(caller: Caller, drawing: Drawing, inputs: Inputs | None, rng: np.random.Generator) -> Ints:
    """The emitted tokens (R, L + 1)."""
    if inputs is None:
        return caller.generate(drawing.requests, rng, drawing.length)
    return caller.decide(inputs, rng, drawing.length)[0]
