"""The page: one HTML file that needs nothing outside itself, no script, and prints."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from ...writing.html import duration, rendered
from . import figures, tables
from .data import CertificateRow, League, RealRun, Report

Z_LIMIT = 4.0
"""A score beyond this is a false alarm once in 16,000 times."""


def write_page(report: Report, path: Path) -> Path:
    """The path, after the page has been written there."""
    path.write_text(render(report), encoding="utf-8")
    return path


def render(report: Report) -> str:
    """The page as HTML text."""
    return rendered("page.html", **_values(report))


def _values(report: Report) -> dict[str, Any]:
    """Everything that the template shows."""
    return {
        "report": report,
        "facts": headlines(report),
        "league": tables.league_table(report.league),
        "league_svg": figures.league_figure(report.league),
        "profiles": tables.profile_table(report.profiles, report.profile_family),
        "profile_svg": figures.profile_figure(report.profiles) if report.profiles else "",
        "certificates": tables.certificate_table(report.certificates),
        "differences": [row.difference for row in report.certificates if row.difference],
        "real": tables.real_table(report.real, report.settings.temperature) if report.real else None,
        "real_svg": figures.real_figure(report.real) if report.real else "",
        "fastest": max((row.tokens_per_second for row in report.real.rows), default=0.0) if report.real else 0.0,
        "duration": duration(report.provenance.seconds),
        "limit": Z_LIMIT,
    }


def headlines(report: Report) -> list[tuple[str, str, bool]]:
    """(figure, what it says, whether all is well) for the top of the page, each computed from the report."""
    facts = []
    if report.certificates:
        facts.append(_certificate_fact(report.certificates))
    if any(value is not None for row in report.league.rows for value in row.values):
        facts.append(_league_fact(report.league))
    if report.real and report.real.rows:
        facts += [_score_fact(report.real), _verdict_fact(report.real)]
    return facts


def _certificate_fact(rows: Sequence[CertificateRow]) -> tuple[str, str, bool]:
    worst = max(Fraction(row.rational) for row in rows)
    count, trees = sum(row.certificates for row in rows), sum(row.trees for row in rows)
    text = f"largest total variation of {count:,} certificates in exact fractions, over {trees:,} trees"
    return str(worst), text, all(row.lossless for row in rows)


def _league_fact(league: League) -> tuple[str, str, bool]:
    """The verifier that is best on most families."""
    wins: dict[str, int] = {}
    for family in range(len(league.families)):
        known = [row for row in league.rows if row.values[family] is not None]
        if known:
            winner = max(known, key=lambda row: row.values[family] or 0.0).verifier
            wins[winner] = wins.get(winner, 0) + 1
    best = max(wins, key=lambda name: wins[name])
    text = f"greatest exact block efficiency on {wins[best]} of {len(league.families)} synthetic families"
    return best, text, True


def _score_fact(real: RealRun) -> tuple[str, str, bool]:
    scores = [score for row in real.rows for score in (row.z, row.z_draft, row.z_text) if score is not None]
    worst = f"{max(map(abs, scores)):.2f}" if scores else tables.ABSENT
    text = f"largest |z| of {len(scores)} on the real pair; up to {Z_LIMIT:g} is agreement"
    return worst, text, all(abs(score) <= Z_LIMIT for score in scores)


def _verdict_fact(real: RealRun) -> tuple[str, str, bool]:
    agreed = sum(row.agrees for row in real.rows)
    text = "verifiers measured on the real pair agree with what was predicted before drafting"
    return f"{agreed} of {len(real.rows)}", text, agreed == len(real.rows)


