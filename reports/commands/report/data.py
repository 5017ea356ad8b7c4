"""The numbers of one report, as the tables, the figures and the page read them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from veridraft.theory.verifiers.certificates import FLOAT_TOLERANCE

from .settings import Settings


@dataclass(frozen=True)
class LeagueRow:
    """Exact block efficiencies of one verifier: one value per family of synthetic pairs, ``None`` if unfinished."""

    verifier: str
    policy: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class League:
    """The synthetic league table: ``families`` are (name, description), each averaged over ``pairs`` pairs."""

    vocabulary_size: int
    pairs: int
    families: tuple[tuple[str, str], ...]
    rows: tuple[LeagueRow, ...]


@dataclass(frozen=True)
class Profile:
    """Where one verifier stops: ``stopping[d]`` is the probability that exactly d draft tokens are accepted."""

    verifier: str
    policy: str
    stopping: tuple[float, ...]

    @property
    def reach(self) -> tuple[float, ...]:
        """``reach[d]``, the probability that at least d draft tokens are accepted; ``reach[0]`` is 1."""
        sums = [sum(self.stopping[depth:]) for depth in range(len(self.stopping))]
        return tuple(sums)


@dataclass(frozen=True)
class CertificateRow:
    """Certificates of one verifier, summed up.

    ``rational`` is the largest total variation in exact arithmetic, as a fraction; ``floating`` the largest
    in float64; ``trees`` counts the trees enumerated in exact arithmetic; ``difference`` describes the first
    string that came out wrong, if one did.
    """

    verifier: str
    policies: tuple[str, ...]
    certificates: int
    trees: int
    rational: str
    floating: float
    difference: str = ""

    @property
    def lossless(self) -> bool:
        """True if every certificate is exactly 0, and at most 1e-12 in float64."""
        return Fraction(self.rational) == 0 and self.floating <= FLOAT_TOLERANCE


@dataclass(frozen=True)
class RealRow:
    """One verifier on the real pair: the fields of a row of ``crosscheck.jsonl``.

    ``measured`` and ``predicted`` are means over the ``compared`` ones of all ``steps`` target passes.
    """

    verifier: str
    policy: str
    temperature: float
    steps: int
    compared: int
    measured: float
    predicted: float
    interval: tuple[float, float]
    z: float | None
    z_draft: float | None
    z_text: float | None
    tokens_per_second: float
    verdict: str
    notes: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> RealRow:
        """The row of a ``crosscheck.jsonl``; ``notes`` say why a score that is ``None`` does not apply."""
        values = {name: row[name] for name in cls.__dataclass_fields__ if name in row}
        return cls(**{**values, "interval": tuple(row["interval"]), "notes": tuple(row.get("notes", {}).items())})

    @property
    def agrees(self) -> bool:
        """True if the difference and every score are where they should be."""
        return self.verdict == "agrees"

    @property
    def difference(self) -> float:
        """Measured minus predicted block efficiency."""
        return self.measured - self.predicted


@dataclass(frozen=True)
class RealRun:
    """What was measured on a real pair; ``plain_tokens_per_second`` is the target's own speed, without a draft."""

    target: str
    draft: str
    device: str
    rows: tuple[RealRow, ...]
    plain_tokens_per_second: float | None = None


@dataclass(frozen=True)
class Provenance:
    """How the numbers were made: enough to make them again."""

    command: str
    veridraft: str
    source: str
    python: str
    system: str
    cores: int
    started: str
    seconds: float
    packages: tuple[tuple[str, str], ...]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Provenance:
        """The provenance from its fields as JSON values."""
        packages = tuple((name, version) for name, version in values["packages"])
        return cls(**{**values, "packages": packages})


@dataclass(frozen=True)
class Report:
    """Everything that one page shows; ``left_out`` says what was not done, and why."""

    settings: Settings
    provenance: Provenance
    league: League
    profile_family: str
    profiles: tuple[Profile, ...]
    certificates: tuple[CertificateRow, ...]
    real: RealRun | None = None
    left_out: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Every number of the report as JSON values."""
        return asdict(self)
