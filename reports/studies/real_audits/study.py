"""Code that people run, audited: transformers' samplers and candidate generators, and packages of the Python index.

``veridraft real-audits`` writes ``real_audits.json``, ``.txt`` and ``.html``.  Finished audits are
kept in another file, so that a stopped run goes on.  Packages that are not installed are left out, and said to be.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from veridraft.simulate.auditing.verdict import Sign

from ...running.progress import Progress
from ...running.sources import source_digest
from ...running.store import Store, make_key
from ...writing.html import require_page_packages
from ...writing.markdown import Note, Section, write_note
from . import audited_packages, audited_transformers, exact_transformers
from .audited import Auditee, record_of, version_of

DEFAULT_OUT = Path("reports/runs/real-audits")
DEFAULT_PIECES = Path("report-out/real-audits.jsonl")
SHARED = ("torch", "numpy", "tokenizers")

PRUNED = (
    "Universal speculative decoding in transformers prunes the drafter's head in its first call, and the new layer's "
    "initialisation draws from torch's global generator: the first call of 48 has other coins than its replay."
)

Record = dict[str, Any]


def all_auditees() -> tuple[Auditee, ...]:
    """Everything that the study knows of."""
    return audited_transformers.auditees() + audited_packages.auditees()


def run(auditees: Iterable[Auditee], store: Store, trials: int | None = None) -> list[Record]:
    """The records of those that are installed, each computed unless the store has it."""
    present = [auditee for auditee in auditees if version_of(auditee.package)]
    progress, records = Progress("audits", len(present)), []
    for auditee in present:
        key = make_key("audit", of=auditee.key, version=version_of(auditee.package), trials=trials or auditee.trials)
        records.append(store.piece(key, partial(record_of, auditee, trials)))
        progress.step(f"{auditee.key}: {records[-1]['verdict']}")
    progress.close()
    return records


def missing(auditees: Iterable[Auditee]) -> list[str]:
    """The packages that are not installed, in order."""
    return list(dict.fromkeys(auditee.package for auditee in auditees if not version_of(auditee.package)))


def as_note(records: Sequence[Record], absent: Sequence[str], versions: dict[str, str], command: str) -> Note:
    """The study as a page."""
    lossy = [record for record in records if record["verdict"] == "lossy"]
    sections = [_verdicts(records), *(_confirmation(record) for record in _with_exact(lossy)), _traits(records)]
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    lead = (
        f"{len(records)} audits at level 1e-6 each, {len(lossy)} lossy, of which "
        f"{sum(bool(record['claim']) for record in lossy)} are documented as such. A verifier is called from outside "
        "on chosen cases, and its completed strings are held against the target's exact law. A lossy verdict is "
        "confirmed by an exact case. A pass is no proof: the column on what would have been found says what it is "
        f"worth. Made with {said}."
    )
    return Note("Code that people run, audited", lead, (*sections, *_zero_uniform(records), _left_out(absent)), command)


def _verdicts(records: Sequence[Record]) -> Section:
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
    return Section("Verdicts", words, headers, rows)


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


def _confirmation(record: Record) -> Section:
    """The exact case of a lossy verdict: two laws and what came out."""
    exact = record["exact"]
    out = exact["comes_out"] or [""] * len(exact["target"])
    rows = tuple(
        (name, target, comes, f"{count / exact['trials']:.4f}")
        for name, target, comes, count in zip(exact["outcomes"], exact["target"], out, exact["counts"], strict=True)
    )
    verdict = (
        f"Total variation {exact['total_variation']}, exact. {exact['trials']:,} runs of the code itself: the target "
        f"is {'excluded' if exact['target_excluded'] else 'not excluded'} at level 1e-9, the law worked out by hand is "
        f"{'excluded' if exact['comes_out_excluded'] else 'not excluded'}."
    )
    title = f"{record['package']} {record['version']}: {record['what']}"
    return Section(title, (exact["text"], verdict), ("outcome", "target", "comes out", "observed"), rows)


def _traits(records: Sequence[Record]) -> Section:
    rows = tuple((record["key"], text) for record in records for text in record["observations"])
    words = () if rows else ("Nothing.",)
    if any("Universal" in key for key, _ in rows):
        words = (PRUNED,)
    return Section("What else was seen", words, ("audit", "it"), rows)


def _zero_uniform(records: Sequence[Record]) -> list[Section]:
    """What transformers' sampler does with a uniform of exactly 0, if it was audited at all."""
    if not any(record["what"] == "_speculative_sampling" for record in records):
        return []
    words = (
        "transformers accepts where u <= p/q, and torch.rand_like gives u = 0 in float32 with probability 2^-24, about "
        "6e-8. With target (1, 0), drafter (0, 1) and u = 0 put in place of its uniforms, _speculative_sampling emits "
        f"token {exact_transformers.emitted_at_zero()}; the target never does. No audit by drawing sees a departure of "
        "this size, and it is not counted as a lossy verdict above.",
    )
    return [Section("A uniform of exactly 0", words)]


def _left_out(absent: Sequence[str]) -> Section:
    rows = [(name, why) for name, why in audited_packages.LEFT_OUT.items()]
    rows += [(name, f"not installed: pip install {name}") for name in absent]
    return Section("Left out", ("Looked at, and not audited.",), ("package", "why"), tuple(rows))


def versions_of() -> dict[str, str]:
    """Python, and what all audits share."""
    found = {"Python": platform.python_version()}
    return found | {name: version for name in SHARED if (version := version_of(name))}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0 after what is installed was audited and the page written."""
    parser = argparse.ArgumentParser(prog="python -m veridraft.reports.studies.real_audits.study", description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder (default: %(default)s)")
    parser.add_argument("--pieces", type=Path, default=DEFAULT_PIECES, help="finished audits (default: %(default)s)")
    parser.add_argument("--only", default="", help="audits whose name has this in it")
    parser.add_argument("--trials", type=int, default=None, help="at most, of each audit (default: its own number)")
    arguments = parser.parse_args(argv)
    require_page_packages()
    arguments.pieces.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    chosen = [auditee for auditee in all_auditees() if arguments.only in auditee.key]
    digest = source_digest(audited_transformers.__name__, audited_packages.__name__)
    records = run(chosen, Store(arguments.pieces, digest), arguments.trials)
    return _written(records, missing(chosen), arguments)


def _written(records: list[Record], absent: list[str], arguments: argparse.Namespace) -> int:
    words = ["python -m veridraft.reports.studies.real_audits.study"]
    words += [f"--only {arguments.only!r}"] if arguments.only else []
    words += [f"--trials {arguments.trials}"] if arguments.trials else []
    command, versions = " ".join(words), versions_of()
    content = {"command": command, "versions": versions, "records": records, "not_installed": absent}
    text = json.dumps(content | {"left_out": audited_packages.LEFT_OUT}, indent=1)
    (arguments.out / "real_audits.json").write_text(text + "\n", encoding="utf-8")
    print(write_note(as_note(records, absent, versions, command), arguments.out / "real_audits"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
