"""Audits in a notebook."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from sheets import read

from veridraft.simulate import Verdict, audit
from veridraft.simulate.auditing.case_result import departures
from veridraft.simulate.defects.table import DEFECTS
from veridraft.theory.display.sheet import said

BROKEN = DEFECTS["correction_from_next_row"]


@pytest.fixture(scope="module")
def lossy():
    return audit(BROKEN.broken, "chain", batched=True, mechanism=False)


def test_a_lossy_audit_shows_its_counterexample_and_the_evidence_of_every_case(lossy):
    seen = read(lossy)
    assert seen.sign == "✗" and seen.title == lossy.headline
    finding = dict(lossy.findings[0].rows())
    assert finding and finding.items() <= seen.facts.items()
    head, *rows = seen.tables[1]
    assert [row[0] for row in rows] == [case.name for case in lossy.cases]
    evidence = [row[head.index("evidence (log 10)")] for row in rows]
    assert evidence == [said(case.log_e / log(10)) for case in lossy.cases]
    assert seen.paragraphs[-1].startswith("A lossless verifier would be called lossy with probability at most")


def test_a_pass_says_what_it_is_worth():
    passed = audit(BROKEN.correct, "chain", batched=True, trials=2000, chosen_uniforms=False)
    assert passed.verdict is Verdict.NO_DEFECT_FOUND
    assert read(passed).sign == "✓" and "A pass is no proof" in read(passed).paragraphs[-1]


def test_a_verifier_that_fails_shows_what_it_raised():
    def raises(*arguments):
        raise RuntimeError("no <kernel> here")

    failed = audit(raises, "chain")
    seen = read(failed)
    assert seen.sign == "✗" and any("no <kernel> here" in value for value in seen.facts.values())
    with pytest.raises(ValueError, match="no case was judged"):
        failed.plot()


def test_plots_draw_evidence_and_frequencies(lossy):
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    from matplotlib.figure import Figure

    axes = lossy.plot(Figure().subplots())
    ends = [line.get_xdata()[1] for line in axes.lines[: len(lossy.cases)]]
    assert ends == pytest.approx([case.log_e / log(10) for case in lossy.cases])
    assert [text.get_text() for text in axes.get_yticklabels()] == [case.name for case in lossy.cases]
    case = lossy.strongest
    assert case.name == lossy.findings[0].case
    diamonds = [line.get_xdata()[0] for line in case.plot(Figure().subplots()).lines if line.get_marker() == "D"]
    assert diamonds == [seen for _, _, seen in departures(case)]
    assert read(case).tables[1][1][1:] == [said(value) for value in departures(case)[0][1:]]
    assert np.isfinite(case.log_e) and read(case).sign == "✗"
