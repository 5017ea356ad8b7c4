"""What an audit says in the end, and what a pass is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from math import log
from textwrap import wrap
from typing import Any

from veridraft.theory.display import Sheet, Shown
from veridraft.theory.display.charts import AROUND, ROW, plotted

from ..batches.intervals import MISS
from ..forms.form import Form
from .case_result import CaseResult, acceptance_text
from .explaining.telling import Telling
from .findings import TEXT_WIDTH, Failure, Finding, Observation


class Verdict(Enum):
    """The outcome of an audit."""

    NO_DEFECT_FOUND = "no defect found"
    LOSSY = "lossy"
    UNDECIDED = "undecided"
    ERROR = "error"

    @property
    def exit_status(self) -> int:
        """0 for no defect found, 1 for lossy, 2 for undecided or error."""
        return {Verdict.NO_DEFECT_FOUND: 0, Verdict.LOSSY: 1}.get(self, 2)


@dataclass(frozen=True, eq=False)
class Audit(Shown):
    """The result of an audit.

    Fields
    ------
    verifier, form : what was audited
    verdict : LOSSY at the stated level, NO_DEFECT_FOUND after all trials, UNDECIDED if they were cut short, ERROR if
        the callable does not do what its form asks
    level : a lossless verifier is called LOSSY with probability at most this
    findings : counterexamples, the strongest first; empty unless LOSSY
    failure : why it is an ERROR, or None
    observations : what else was seen
    cases : by request of each case
    trials : judged ones, in all
    further : trials that were not judged: replayed, with chosen uniforms, to explain what was found
    seconds : until the verdict, without the search for a mechanism
    seed : of all randomness
    untried : names of the cases that the budget did not reach
    telling : a trial that shows the departure, to be run again; ``None`` if there is none
    """

    verifier: str
    form: str
    verdict: Verdict
    level: float
    findings: tuple[Finding, ...]
    failure: Failure | None
    observations: tuple[Observation, ...]
    cases: tuple[CaseResult, ...]
    trials: int
    further: int
    seconds: float
    seed: int
    untried: tuple[str, ...] = ()
    telling: Telling | None = None

    @property
    def exit_status(self) -> int:
        """0 for no defect found, 1 for lossy, 2 for undecided or error."""
        return self.verdict.exit_status

    @property
    def smallest_total_variation(self) -> float:
        """The largest over cases of the total variation that would surely be found there; 1 if a case has none."""
        return max((case.smallest_total_variation for case in self.cases), default=1.0)

    @property
    def where(self) -> str:
        """Over how many cases, each request of a case counted, in words."""
        count = len(self.cases)
        return "over 1 case" if count == 1 else f"over {count} cases and requests"

    def text(self) -> str:
        """The verdict for a reader, several lines."""
        return "\n".join(self._lines())

    @property
    def strongest(self) -> CaseResult | None:
        """The case of the strongest finding, else the one with the most evidence; ``None`` if nothing was counted."""
        for finding in self.findings:
            for case in self.cases:
                if (case.case, case.request) == (finding.case, finding.request):
                    return case
        return max(self.cases, key=lambda case: case.log_e, default=None)

    def sheet(self) -> Sheet:
        """The verdict, the counterexample, what it is worth, and the evidence of every case."""
        cases = self.cases
        columns: dict[str, Sequence[Any]] = {
            "case": [case.name for case in cases], "drafts": [case.policy for case in cases],
            "trials": [case.trials for case in cases], "evidence (log 10)": [case.log_e / log(10) for case in cases],
            "surely found": [case.smallest_total_variation for case in cases],
            "accepted": [case.mean_acceptance_length for case in cases], "most": [case.optimum for case in cases],
        }  # fmt: skip
        facts = [row for finding in self.findings[:1] for row in finding.rows()]
        if self.failure:
            facts.append((self.failure.fault.value, f"in case {self.failure.case}: {self.failure.detail}"))
        facts += [("note", f"it {one.trait.value} ({one.detail})") for one in self.observations]
        facts.append(("trials", f"{self.trials:,} {self.where}, {self.seconds:.1f} s, seed {self.seed}"))
        well = {Verdict.NO_DEFECT_FOUND: True, Verdict.UNDECIDED: None}.get(self.verdict, False)
        worth = " ".join(line.strip() for line in self._closing()).strip()
        return Sheet(self.headline, tuple(facts), well, "", columns, worth)

    def plot(self, axes: Any = None) -> Any:
        """The evidence of every case, and a line where it suffices, on matplotlib's axes or new ones; the axes.

        ``strongest.plot()`` shows the strings that depart.  ``ValueError`` if no case was judged; ``ImportError``
        without matplotlib.
        """
        from .pictures import paint_evidence

        if not self.cases:
            raise ValueError("nothing to plot: no case was judged")
        return plotted(axes, 7.0, ROW * len(self.cases) + AROUND, lambda place: paint_evidence(place, self.cases))

    @property
    def headline(self) -> str:
        """The verdict and what was audited."""
        return f"{self.verdict.value.upper()}: {self.verifier}, form {self.form}"

    def _lines(self) -> Iterator[str]:
        yield self.headline
        further = f" and {self.further:,} not judged" if self.further else ""
        yield f"{self.trials:,} trials {self.where}{further}, {self.seconds:.1f} s, seed {self.seed}"
        if acceptance := acceptance_text(self.cases):
            yield from wrap(acceptance, TEXT_WIDTH)
        for finding in self.findings:
            yield ""
            yield from (f"  {line}" for line in finding.lines())
        if self.failure:
            yield ""
            yield from _indented(f"{self.failure.fault.value}, in case {self.failure.case}: {self.failure.detail}")
        for observation in self.observations:
            yield from _indented(f"note: it {observation.trait.value} ({observation.detail})")
        if self.untried and self.verdict in (Verdict.NO_DEFECT_FOUND, Verdict.UNDECIDED):
            yield from _indented(f"note: the budget did not reach the cases {', '.join(self.untried)}")
        yield from self._closing()

    def _closing(self) -> Iterator[str]:
        yield ""
        if self.verdict is Verdict.LOSSY:
            yield f"A lossless verifier would be called lossy with probability at most {self.level:.1e}."
        elif self.verdict is Verdict.NO_DEFECT_FOUND:
            yield from self._worth()
        elif self.verdict is Verdict.UNDECIDED:
            yield "The trials were cut short: nothing was found, and nothing is said."
        else:
            yield "The callable could not be audited: nothing is said about its law."

    def _worth(self) -> Iterator[str]:
        """What a pass is worth."""
        sure = [case.smallest_total_variation for case in self.cases]
        tokens = [case.smallest_token_deviation for case in self.cases]
        anywhere = ", in any one of the cases" if len(sure) > 1 else ""
        yield f"Found with probability {1 - MISS} would have been{anywhere}:"
        by_case = ", depending on the case" if len(sure) > 1 else ""
        yield f"  a law of strings off by a total variation of {_range(sure)}{by_case};"
        yield f"  a first token more frequent than it should be by {_range(tokens)}."
        yield "A pass is no proof: smaller deviations, and other rows than these, were not seen."
        yield from wrap(self._unseen(), TEXT_WIDTH)

    def _unseen(self) -> str:
        """What no trial of the form could show."""
        if self.form != Form.GENERATE.value:
            return "Drafts came from a generator of their own: randomness that drafting shares with it was not seen."
        length = max(case.length for case in self.cases)
        return (
            f"Strings had {_counted(length, 'token')}: a single round of a loop that drafts {length - 1} or more, and "
            f"{_counted(length, 'round')} at most. What is carried from round to round (penalties, recurrent states, "
            "noise keyed by seed and position) shows over several alone: ask for more by length, --length."
        )

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON's kinds of values; laws and counts are left out but for the strings that depart most."""
        return {
            "verifier": self.verifier, "form": self.form, "verdict": self.verdict.value, "level": self.level,
            "exit_status": self.exit_status, "trials": self.trials, "further": self.further,
            "seconds": round(self.seconds, 3), "seed": self.seed, "untried": list(self.untried),
            "smallest_total_variation": self.smallest_total_variation,
            "findings": [_plain(asdict(finding)) for finding in self.findings],
            "failure": _plain(asdict(self.failure)) if self.failure else None,
            "observations": [_plain(asdict(observation)) for observation in self.observations],
            "cases": [case.to_json() for case in self.cases],
            "telling": self.telling.to_json() if self.telling else None,
        }  # fmt: skip


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"


def _indented(text: str) -> list[str]:
    """The text in lines, all but the first further in."""
    return wrap(text, TEXT_WIDTH + 2, initial_indent="  ", subsequent_indent="    ", break_long_words=False)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value.value if isinstance(value, Enum) else value for name, value in values.items()}
