"""The study of code that people run: exact cases, records, what is left out, and a run that goes on."""

import json
from fractions import Fraction
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("jinja2")

from veridraft.reports import cli
from veridraft.reports.studies.real_audits import (
    audited_packages,
    audited_transformers,
    exact_packages,
    exact_transformers,
)
from veridraft.reports.studies.real_audits import plan as real_audits
from veridraft.reports.studies.real_audits.audited import (
    Auditee,
    ExactCase,
    confirmed,
    excluded,
    record_of,
    total_variation,
)
from veridraft.reports.studies.real_audits.audited_models import RowModel, prompt
from veridraft.reports.studies.real_audits.plan import RealAuditsPlan
from veridraft.reports.studies.real_audits.text import note
from veridraft.simulate.forms.form import Form

HALF = (Fraction(1, 2), Fraction(1, 2))


def coin(heads):
    """An exact case whose code emits outcome 0 with the given probability, beside a target of one half."""
    law = (Fraction(heads).limit_denominator(100), 1 - Fraction(heads).limit_denominator(100))
    return ExactCase("a coin", ("heads", "tails"), HALF, law, lambda rng: int(rng.random() >= heads), 2000)


def made(verifier, exact=None, package="numpy"):
    build = partial(tuple, (verifier, None))
    return Auditee(f"of {package}", package, "f", "default", Form.CHAIN, build, False, 600, exact=exact)


def drafts(target, draft, tokens, rng):
    """A verifier that accepts everything."""
    return list(tokens)


def test_exact_case_tells_two_laws_apart():
    unfair, fair = confirmed(coin(0.7)), confirmed(coin(0.5))
    assert unfair["target_excluded"] and not unfair["comes_out_excluded"] and unfair["total_variation"] == "1/5"
    assert not fair["target_excluded"] and fair["total_variation"] == "0"


def test_exclusion_is_at_its_level():
    rng = np.random.default_rng(0)
    counts = rng.multinomial(200, [0.5, 0.5], size=4000)
    assert sum(excluded(row, HALF, level=1e-3) for row in counts) <= 4  # Bernstein's bound is far from tight
    assert not excluded([0, 100], (Fraction(0), Fraction(1))) and excluded([9, 91], (Fraction(0), Fraction(1)))


def test_total_variation_is_exact():
    assert total_variation(HALF, (Fraction(1, 3), Fraction(2, 3))) == Fraction(1, 6)


@pytest.mark.parametrize("make", [
    exact_transformers.argmax_drafts, exact_transformers.permuted_columns, exact_transformers.ensemble_weight,
])  # fmt: skip
def test_transformers_does_what_was_worked_out_by_hand(make):
    found = confirmed(make(), trials=1500)
    assert found["target_excluded"] and not found["comes_out_excluded"]


@pytest.mark.parametrize(("package", "make"), [
    ("rotalabs-accel", exact_packages.rotalabs_sample), ("rotalabs-accel", exact_packages.rotalabs_bonus),
    ("rotalabs-accel", exact_packages.rotalabs_eagle), ("rotalabs-accel", exact_packages.rotalabs_tree),
    ("economize", exact_packages.typical), ("sequential-speculative-decoding", exact_packages.capped),
    ("csaq-quant", exact_packages.csaq),
])  # fmt: skip
def test_packages_do_what_was_worked_out_by_hand(package, make):
    if real_audits.version_of(package) is None:
        pytest.skip(f"{package} is not installed")
    found = confirmed(make())
    assert found["target_excluded"] and not found["comes_out_excluded"]


def test_uniform_of_zero_lets_a_forbidden_token_through():
    assert exact_transformers.emitted_at_zero() == 1


def test_row_model_answers_with_and_without_a_cache():
    rows = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
    plain, caching = (RowModel(lambda context: rows[len(context)], caches=caches) for caches in (False, True))
    ids = torch.tensor([[0, 2, 1]])
    assert np.allclose(plain(ids).logits[0].exp(), rows, atol=1e-6)
    first = caching(prompt())
    later = caching(ids[:, 1:], first.past_key_values)
    assert np.allclose(later.logits[0].exp(), rows[1:], atol=1e-6)
    assert later.past_key_values[0][0].shape == (1, 1, 3, 1)


def test_lossy_record_brings_its_exact_case_and_others_do_not():
    lossy = record_of(made(drafts, exact=lambda: coin(0.9)))
    assert lossy["verdict"] == "lossy" and lossy["exact"]["target_excluded"] and lossy["findings"]
    target = record_of(made(lambda target, draft, tokens, rng: [rng.choice(target.shape[1], p=target[0])]))
    assert target["verdict"] == "no defect found" and target["exact"] is None and not target["failure"]


def test_failure_is_told_without_its_place():
    def broken(target, draft, tokens, rng):
        raise TypeError("f() got an unexpected keyword argument 'g'")

    record = record_of(made(broken))
    assert record["verdict"] == "error" and "unexpected keyword argument" in record["failure"]
    assert ".py" not in record["failure"]


def test_what_is_not_installed_is_said(monkeypatch):
    there = Auditee("a", "numpy", "f", "", Form.CHAIN, lambda: (drafts, None), False, 300)
    absent = made(drafts, package="no-such-package-of-verifiers")
    monkeypatch.setattr(real_audits.audited_transformers, "auditees", lambda: (there,))
    monkeypatch.setattr(real_audits.audited_packages, "auditees", lambda: (absent,))
    plan = RealAuditsPlan()
    settings = plan.settings()
    assert settings["cells"] == [["a"]] and settings["packages"] == {"numpy": np.__version__}
    page = note([plan.measure("a")], settings, "command")
    assert page.sections[-1].rows[-1] == (absent.package, f"not installed: pip install {absent.package}")
    with pytest.raises(ValueError, match="leaves no audit of a package that is installed"):
        RealAuditsPlan("of no-such")


def test_audits_have_names_of_their_own_and_lossy_ones_can_be_confirmed():
    auditees = audited_transformers.auditees() + audited_packages.auditees()
    assert len({auditee.key for auditee in auditees}) == len(auditees) > 30
    assert not set(audited_packages.LEFT_OUT) & {auditee.package for auditee in auditees}


def test_command_writes_cells_text_and_page(tmp_path):
    arguments = ["--only", "transformers ensemble", "--trials", "300"]
    assert cli.main(["study", "run", "real-audits", *arguments, "--out", str(tmp_path)]) == 0
    _, record = map(json.loads, (tmp_path / "real_audits.jsonl").read_text().splitlines())
    assert record["verdict"] == "lossy" and record["exact"]["total_variation"] == "1/6"
    text, page = ((tmp_path / f"real_audits.{kind}").read_text() for kind in ("txt", "html"))
    assert "documented as biased: a control" in text and "Total variation 1/6, exact" in page
    assert "src=" not in page and "http" not in page.replace("http://www.w3.org", "")
