"""Tables: one list of cells, shown as aligned text, as Markdown, or as HTML by the page's template."""

from __future__ import annotations

from collections.abc import Sequence

from veridraft.theory.verifiers.table import VERIFIERS

from ...writing.tables import ABSENT, Table, number, signed
from .data import CertificateRow, League, Profile, RealRow, RealRun, Report


def league_table(league: League) -> Table:
    """The exact block efficiency of each verifier on each family of synthetic pairs."""
    columns = ("verifier", "solver", "lift", "policy", *(name for name, _ in league.families))
    rows = tuple((*how(row.verifier), row.policy, *map(number, row.values)) for row in league.rows)
    caption = f"Exact block efficiency on synthetic pairs, |V| = {league.vocabulary_size}"
    return Table(caption, columns, rows, names=4, best=_best_by_policy(league))


def how(verifier: str) -> tuple[str, str, str]:
    """(name, solver, lift); a rule that is no solver under a lift has a dash for both."""
    entry = VERIFIERS[verifier]
    if entry.solver is None or entry.lift is None:
        return verifier, ABSENT, ABSENT
    return verifier, getattr(entry.solver, "__name__", type(entry.solver).__name__), entry.lift.name


def _best_by_policy(league: League) -> frozenset[tuple[int, int]]:
    """Cells that hold the greatest value of their family among the rows of one policy."""
    best = set()
    for policy in {row.policy for row in league.rows}:
        rows = [index for index, row in enumerate(league.rows) if row.policy == policy]
        for family in range(len(league.families)):
            values = {index: league.rows[index].values[family] for index in rows}
            known = [value for value in values.values() if value is not None]
            best |= {(index, 4 + family) for index in rows if known and values[index] == max(known)}
    return frozenset(best)


def real_table(real: RealRun, temperature: float) -> Table:
    """Measured against predicted block efficiency on the real pair, with the three scores."""
    columns = (
        "verifier", "policy", "compared", "measured", "predicted", "difference", "allowed",
        "z", "z_draft", "z_text", "verdict", "tokens/s",
    )  # fmt: skip
    caption = f"Real pair: {real.target}, draft: {real.draft}, temperature {temperature:g}"
    return Table(caption, columns, tuple(map(_real_cells, real.rows)), names=2)


def _real_cells(row: RealRow) -> tuple[str, ...]:
    scores = (number(score, 2) for score in (row.z, row.z_draft, row.z_text))
    return (
        row.verifier, row.policy, f"{row.compared} of {row.steps}", number(row.measured, 3), number(row.predicted, 3),
        signed(row.difference), _allowed(row.interval), *scores, row.verdict,
        number(row.tokens_per_second, 1),
    )  # fmt: skip


def _allowed(interval: tuple[float, float]) -> str:
    """The interval of a difference, short where it is symmetric."""
    low, high = interval
    return f"±{high:.3f}" if low == -high else f"{signed(low)} to {signed(high)}"


def certificate_table(rows: Sequence[CertificateRow]) -> Table:
    """The certificates of each verifier: how many, over how many trees, and the largest total variation."""
    columns = ("verifier", "policies", "certificates", "trees", "largest TV, rational", "largest TV, float64")
    cells = tuple(
        (row.verifier, ", ".join(row.policies), f"{row.certificates:,}", f"{row.trees:,}", row.rational,
         f"{row.floating:.1e}")
        for row in rows
    )  # fmt: skip
    return Table("Certificates: total variation from the target over completed strings", columns, cells, names=2)


def profile_table(profiles: Sequence[Profile], family: str) -> Table:
    """The probability that at least d draft tokens are accepted, by d."""
    depth = max((len(profile.stopping) for profile in profiles), default=1)
    columns = ("verifier", "policy", *(f"at least {d}" for d in range(1, depth)))
    rows = tuple(
        (profile.verifier, profile.policy, *(number(value) for value in profile.reach[1:])) for profile in profiles
    )
    return Table(f"Probability that at least d draft tokens are accepted, {family}", columns, rows, names=2)


def report_text(report: Report) -> str:
    """All tables of the report as text, then what was left out."""
    tables = [league_table(report.league), profile_table(report.profiles, report.profile_family)]
    tables.append(certificate_table(report.certificates))
    if report.real is not None:
        tables.append(real_table(report.real, report.settings.temperature))
    parts = [table.text() for table in tables]
    return "\n\n".join(parts + [f"Left out: {reason}" for reason in report.left_out])
