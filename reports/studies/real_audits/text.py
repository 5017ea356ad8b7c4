"""The audits of code that people run, in words and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from veridraft.simulate.auditing.findings import Sign

from ...writing.bars import verdicts_figure
from ...writing.markdown import Note, Section

PRUNED = (
    "Universal speculative decoding in transformers prunes the drafter's head in its first call, and the new layer's "
    "initialisation draws from torch's global generator: the first call of 48 has other coins than its replay."
)

CAPTION = "Audits of each package by verdict; an error is an audit that could not be finished."

Record = dict[str, Any]


def note(records: Sequence[Record], settings: Mapping[str, Any], command: str) -> Note:
    """The study as a page."""
    lossy = [record for record in records if record["verdict"] == "lossy"]
    sections = [verdicts(records), *(confirmation(record) for record in _with_exact(lossy)), traits(records)]
    said = ", ".join(f"{name} {version}" for name, version in settings['versions'].items())
    lead = (
        f"{len(records)} audits at level 1e-6 each, {len(lossy)} lossy, of which "
        f"{sum(bool(record['claim']) for record in lossy)} are documented as such. A verifier is called from outside "
        "on chosen cases, and its completed strings are held against the target's exact law. A lossy verdict is "
        "confirmed by an exact case. A pass is no proof: the column on what would have been found says what it is "
        f"worth. Made with {said}."
    )
    sections += [*_zero_uniform(settings), _left_out(settings)]
    return Note("Code that people run, audited", lead, tuple(sections), command)


def verdicts(records: Sequence[Record]) -> Section:
    """Every audit: what, how, the verdict and its evidence."""
    headers = "package", "what", "how", "verdict", "trials", "seconds", "would have found", "evidence"
    rows = tuple(
        (
            f"{record['package']} {record['version']}", record["what"], record["settings"], record["verdict"],
            f"{record['trials']:,}", f"{record['seconds']:.1f}", _worth(record), _evidence(record),
        )
        for record in records
    )  # fmt: skip
    words = (
        "Would have found: a total variation of completed strings of this size, in the case where it is smallest, "
        "would have been found with probability 0.999. Evidence: of a lossy verifier the string that departs most, "
        "expected and observed frequency, and the probability of this under a lossless verifier; of others the largest "
        "logarithm of the evidence, which a lossless verifier brings above x with probability exp(-x) at most.",
    )
    return Section("Verdicts", words, headers, rows, partial(verdicts_figure, by_package(records)), CAPTION)


def by_package(records: Sequence[Record]) -> dict[str, Counter[str]]:
    """How many audits of each package ended in what."""
    counts: dict[str, Counter[str]] = {}
    for record in records:
        counts.setdefault(f"{record['package']} {record['version']}", Counter())[record["verdict"]] += 1
    return counts


def _worth(record: Record) -> str:
    return f"{record['would_have_found'][0]:.3f}" if record["verdict"] == "no defect found" else ""


def _evidence(record: Record) -> str:
    said = [text for text in (record["claim"], record["remark"]) if text]
    if record["failure"]:
        return "; ".join([record["failure"].splitlines()[0][:160], *said])
    if not record["findings"]:
        return "; ".join([f"log {record['largest_log_e']:.1f}", *said])
    found = record["findings"][0]
    error = "impossible" if found["error"] == 0 else f"{found['error']:.0e}"
    what = found["string"] if found["sign"] != Sign.LENGTH.value else "mean accepted length"
    text = f"{found['case']}: {what} {found['expected']:.3g} expected, {found['observed']:.3g} seen, {error}"
    return "; ".join([text, *said])


def _with_exact(lossy: Sequence[Record]) -> list[Record]:
    """One record for each exact case."""
    seen: dict[str, Record] = {}
    for record in lossy:
        if record["exact"]:
            seen.setdefault(record["exact"]["text"], record)
    return list(seen.values())


def confirmation(record: Record) -> Section:
    """The exact case of a lossy verdict: two laws and what came out."""
    exact = record["exact"]
    out = exact["comes_out"] or [""] * len(exact["target"])
    rows = tuple(
        (name, target, comes, f"{count / exact['trials']:.4f}")
        for name, target, comes, count in zip(exact["outcomes"], exact["target"], out, exact["counts"], strict=True)
    )
    verdict = (
        f"{exact['trials']:,} runs of the code itself: the target is {_excluded(exact['target_excluded'])} at level "
        "1e-9."
    )
    if exact["comes_out"]:
        verdict = (
            f"Total variation {exact['total_variation']}, exact. {verdict[:-1]}, the law worked out by hand is "
            f"{_excluded(exact['comes_out_excluded'])}."
        )
    title = f"{record['package']} {record['version']}: {record['what']}"
    return Section(title, (exact["text"], verdict), ("outcome", "target", "comes out", "observed"), rows)


def _excluded(found: bool) -> str:
    return "excluded" if found else "not excluded"


def traits(records: Sequence[Record]) -> Section:
    """What was told of callables beside their verdicts."""
    rows = tuple((record["key"], text) for record in records for text in record["observations"])
    words = () if rows else ("Nothing.",)
    if any("Universal" in key for key, _ in rows):
        words = (PRUNED,)
    return Section("What else was seen", words, ("audit", "it"), rows)


def _zero_uniform(settings: Mapping[str, Any]) -> list[Section]:
    """What transformers' sampler does with a uniform of exactly 0, if it was audited at all."""
    if settings["emitted_at_zero"] is None:
        return []
    words = (
        "transformers accepts where u <= p/q, and torch.rand_like gives u = 0 in float32 with probability 2^-24, about "
        "6e-8. With target (1, 0), drafter (0, 1) and u = 0 put in place of its uniforms, _speculative_sampling emits "
        f"token {settings['emitted_at_zero']}; the target never does. No audit by drawing sees a departure of "
        "this size, and it is not counted as a lossy verdict above.",
    )
    return [Section("A uniform of exactly 0", words)]


def _left_out(settings: Mapping[str, Any]) -> Section:
    rows = list(settings["left_out"].items())
    rows += [(name, f"not installed: pip install {name}") for name in settings["not_installed"]]
    return Section("Left out", ("Looked at, and not audited.",), ("package", "why"), tuple(rows))
