"""The audits of engines' samplers, in words and tables; each lossy one as a page for those who maintain it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...writing.markdown import Note, Section
from ..real_audits.text import Record, confirmation, traits, verdicts

LEAD = (
    "Samplers of serving engines, out of their own packages of exact versions, installed without what those depend on: "
    "compiled kernels for CPUs, PyTorch paths, and Triton's kernels under its interpreter, whose tensors are NumPy's. "
    "{count} audits at level 1e-6 each, {lossy} lossy, {broken} that could not be finished. A verdict LOSSY is "
    "confirmed by an exact case, and comes with lines that show it. A pass is no proof: the column on what would have "
    "been found says what it is worth. Made with {made}."
)


def note(records: Sequence[Record], settings: Mapping[str, Any], command: str) -> Note:
    """The study as a page."""
    lossy = [record for record in records if record["verdict"] == "lossy"]
    broken = sum(record["verdict"] == "error" for record in records)
    made = ", ".join(f"{name} {version}" for name, version in settings["versions"].items())
    lead = LEAD.format(count=len(records), lossy=len(lossy), broken=broken, made=made)
    named = [record | {"settings": f"{record['key']}: {record['settings']}"} for record in records]
    sections = verdicts(named), *_once(lossy), traits(records), _environments(settings), _left_out(settings)
    return Note("Serving engines' samplers, audited", lead, sections, command)


def _once(lossy: Sequence[Record]) -> list[Section]:
    """The pages of lossy samplers; what several show is shown with the first."""
    seen: set[str] = set()
    found = []
    for record in lossy:
        exact = (record["exact"] or {}).get("text", "")
        if not {exact, record["lines"]} <= seen | {""}:
            found += _page(record)
        seen |= {exact, record["lines"]}
    return found


def _page(record: Record) -> list[Section]:
    """What a maintainer needs: the exact case, and lines to run."""
    sections = [confirmation(record)] if record["exact"] else []
    if record["lines"]:
        words = f"With {record['package']} {record['version']}, these lines print what stands below them."
        code = record["lines"].rstrip() + "\n\n" + "\n".join(f"# {line}" for line in record["printed"].splitlines())
        sections.append(Section(f"{record['key']}: shown", (words,), code=code))
    return sections


def _environments(settings: Mapping[str, Any]) -> Section:
    rows = tuple((name, ", ".join(holds)) for name, holds in settings["engines"].items())
    return Section("Environments", ("What each engine's folder holds.",), ("engine", "packages"), rows)


def _left_out(settings: Mapping[str, Any]) -> Section:
    rows = list(settings["left_out"].items())
    rows += [(name, f"not installed: {why}") for name, why in settings["not_installed"].items()]
    return Section("Left out", ("Looked at, or asked for, and not audited.",), ("what", "why"), tuple(rows))
