"""A whole report with made-up numbers on the real pair, for tests of tables and page."""

from __future__ import annotations

from veridraft.reports.commands.report.data import (
    CertificateRow,
    League,
    LeagueRow,
    Profile,
    Provenance,
    RealRow,
    RealRun,
    Report,
)
from veridraft.reports.commands.report.settings import Settings

FAMILIES = (("near", "Rows that nearly agree"), ("far", "Rows that hardly agree"))


def real_row(verifier: str = "spectr", **changes: object) -> RealRow:
    values = {
        "verifier": verifier,
        "policy": "Iid(4, 3)",
        "temperature": 1.0,
        "steps": 300,
        "compared": 150,
        "measured": 2.5,
        "predicted": 2.46,
        "interval": [-0.2, 0.2],
        "z": 0.5,
        "z_draft": -1.25,
        "z_text": None,
        "tokens_per_second": 6.25,
        "verdict": "agrees",
        "notes": {"z_text": "nothing was left to chance"},
    }
    return RealRow.from_json({**values, **changes})


def sample(**changes: object) -> Report:
    rows = (LeagueRow("naive", "Chain(3)", (2.5, None)), LeagueRow("traversal", "Iid(3, 3)", (3.25, 2.125)))
    values = {
        "settings": Settings(verifiers=("naive", "traversal")),
        "provenance": Provenance("veridraft report", "0.1.0", "abc", "3.11", "Linux", 2, "now", 61, (("numpy", "2"),)),
        "league": League(4, 3, FAMILIES, rows),
        "profile_family": "far",
        "profiles": (Profile("naive", "Chain(1)", (0.25, 0.75)), Profile("traversal", "Chain(1)", (0.125, 0.875))),
        "certificates": (CertificateRow("naive", ("Chain",), 12, 3456, "0", 2e-16),),
        "real": RealRun("big <model>", "small", "cpu", (real_row(), real_row("traversal", measured=2.75)), 20.0),
        "left_out": (),
    }
    return Report(**{**values, **changes})  # type: ignore[arg-type]
