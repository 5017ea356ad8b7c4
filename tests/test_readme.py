"""README and CONTRIBUTING: examples run, tables are computed again, what they name exists."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from reports_samples import sample

from veridraft.gpu.files.kinds import CrosscheckFile
from veridraft.reports.commands.report import doc_tables, tables
from veridraft.theory import VERIFIERS

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_examples_print_what_they_say(name):
    found = doctest.testfile(str(ROOT / name), module_relative=False)
    assert found.attempted > 0
    assert found.failed == 0


def test_the_python_example_is_short():
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)[1]
    assert sum(line.startswith(">>>") for line in block.splitlines()) <= 10


@pytest.mark.parametrize("name", ["verifiers", "defects", "studies"])
def test_tables_are_what_is_computed(name):
    text = (ROOT / "docs" / f"{name}.md").read_text()
    assert doc_tables.updated(text, ROOT) == text, "run: make tables"
    assert "| --- |" in text


def test_every_verifier_has_a_row_and_a_lossless_policy():
    table = doc_tables.verifier_table()
    assert [row[0] for row in table.rows] == [f"`{name}`" for name in VERIFIERS]
    for verifier in VERIFIERS.values():
        assert verifier.supports(doc_tables.shown_policy(verifier))


def test_a_changed_number_is_noticed():
    text = (ROOT / "docs" / "verifiers.md").read_text()
    number = doc_tables.verifier_table().rows[0][-1]
    assert doc_tables.updated(text.replace(number, "9.999999"), ROOT) == text


def test_committed_runs_are_shown_with_their_command(tmp_path):
    folder = tmp_path / "some-run"
    folder.mkdir()
    row = {"verifier": "nss", "policy": "Iid(2, 2)", "temperature": 0.5, "top_p": 1.0, "trees": 3, "compared": 2}
    row |= {
        "measured": 1.5,
        "predicted": 1.25,
        "interval": [-1, 1],
        "z": 0.5,
        "z_draft": None,
        "z_text": -0.25,
        "tokens_per_second": 2,
        "verdict": "agrees",
    }
    settings = {"target": "t", "draft": "d", "device": "cpu", "cells": [["nss", "Iid(2, 2)", 0.5, 1.0]]}
    CrosscheckFile.open(folder, "veridraft report --steps 3", settings, {}).add(row)
    shown = doc_tables.real_tables(tmp_path)
    assert "`veridraft report --steps 3` (`reports/runs/some-run`)" in shown
    cells = "nss | Iid(2, 2) | 2 of 3 | 1.500 | 1.250 | +0.250 | ±1.000 | 0.50 | – | −0.25 | agrees"
    assert f"| {cells} |\n" in f"{shown}\n"


def test_every_file_that_is_named_exists():
    for name in ("README.md", "CONTRIBUTING.md", "docs/real-models.md", "docs/terms.md"):
        text = (ROOT / name).read_text()
        named = re.findall(r"`([\w/]+(?:\.py|/))`", text) + re.findall(r"\]\((\w[\w./-]*)\)", text)
        assert named
        for path in named:
            assert (ROOT / path).exists(), f"{name} names {path}"


def test_the_commands_exist_and_the_printed_tables_are_todays():
    text, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    printed = (ROOT / "docs" / "report.md").read_text()
    for command in re.findall(r"^make (\w+)$", text, flags=re.MULTILINE):
        assert re.search(rf"^{command}:", makefile, flags=re.MULTILINE)
    report = sample()
    for table in (
        tables.league_table(report.league),
        tables.certificate_table(report.certificates),
        tables.real_table(report.real, 1.0),
    ):
        assert re.search(r"^ *" + r" +".join(map(re.escape, table.columns[:4])), printed, flags=re.MULTILINE)
    assert re.search(r"^report-out/report.html$", printed, flags=re.MULTILINE)
    assert re.search(r"```text\n(.*?)\n```", text, flags=re.DOTALL)[1] in printed, "the README shows the beginning"
    assert re.search(r"`\d+ passed, \d+ skipped`", text)


def test_papers_and_issues_become_links():
    assert doc_tables.with_links("2310.15141; closed form: new").startswith("[2310.15141](https://arxiv.org/abs/2310.15141);")
    linked = doc_tables.with_links("seen in vllm-project/vllm issue #123")
    assert linked == "seen in [vllm-project/vllm issue #123](https://github.com/vllm-project/vllm/issues/123)"
