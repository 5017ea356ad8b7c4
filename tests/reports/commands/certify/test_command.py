from __future__ import annotations

import json
from itertools import product

import pytest

from veridraft.reports import cli
from veridraft.reports.commands.certify import certificates
from veridraft.reports.commands.certify.instances import KINDS, SHAPES, Instance
from veridraft.theory import VERIFIERS, Delayed, certify


def test_instances_hold_every_kind_with_every_shape():
    count = len(KINDS) * len(SHAPES)
    found = {(i.kind, i.vocabulary_size, i.paths, i.depth) for i in map(Instance.number, range(count))}
    assert found == {(kind, *shape) for kind, shape in product(KINDS, SHAPES)}
    assert count <= 200


@pytest.mark.parametrize("index", range(len(KINDS)))
def test_a_pair_is_what_its_kind_says(index):
    instance = Instance.number(index)
    pair = instance.pair(seed=1)
    assert pair.exact
    target, draft = pair.target_row(()), pair.draft_row(())
    assert target.sum() == draft.sum() == 1
    checks = {
        "positive": (target > 0).all() and (draft > 0).all(),
        "disjoint supports": not (target * draft).any(),
        "equal pair": (target == draft).all(),
        "point masses": 1 in target or 1 in draft,
    }
    assert checks.get(instance.kind, True)


def test_cases_hold_every_verifier_with_every_policy_that_it_supports():
    found = certificates.cases(27, tuple(VERIFIERS), 10**6)
    for cell in found:
        assert cell.verifiers == tuple(name for name in VERIFIERS if VERIFIERS[name].supports(cell.policy))
    assert {type(cell.policy).__name__ for cell in found} == {"Chain", "Iid", "Delayed"}
    assert [cell.trees for cell in found] == sorted(cell.trees for cell in found)


def test_certify_command_continues_and_sums_up(tmp_path, capsys):
    arguments = ["certify", "--pairs", "6", "--most-trees", "30", "--out", str(tmp_path)]
    assert cli.main(arguments) == 0
    lines = (tmp_path / "certificates.jsonl").read_text().splitlines()
    assert cli.main(arguments) == 0
    assert (tmp_path / "certificates.jsonl").read_text().splitlines() == lines
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == str(tmp_path / "certificates.txt")
    count = len(lines) - 1
    assert f"Finished: {count} of {count} instances" in (tmp_path / "certificates.txt").read_text()


def test_a_lossy_verifier_is_told_with_the_string(monkeypatch):
    def trunk_counted_twice(verifier, policy, pair, arithmetic):
        return certify(verifier, CountedTrunk(2, 1, 1), pair, arithmetic, any_policy=True)

    monkeypatch.setattr(certificates, "certify", trunk_counted_twice)
    cell = certificates.CertificateCase(Instance(0, "positive", 3, 2, 2), Delayed(2, 1, 1), ("spectr", "nss"))
    lossy, lossless = certificates.rows_of([{"policy": "Delayed(2, 1, 1)"} | cell.run(0)])
    assert not lossy.lossless
    assert "spectr with Delayed(2, 1, 1): the string (" in lossy.difference
    assert lossless.lossless
    assert lossless.difference == ""


class CountedTrunk(Delayed):
    """A shared trunk wrongly listed once per path."""

    def draws(self, state):
        paths, trunk, branch = state
        return paths if trunk or branch else 0

    def list_law(self, state, draft_row):
        if not state[1]:
            yield from super().list_law(state, draft_row)
            return
        for token in draft_row.nonzero()[0].tolist():
            yield draft_row[token], (token,) * state[0]


def test_a_committed_run_is_whole_and_lossless():
    from pathlib import Path

    folder = Path(__file__).parents[4] / "reports" / "runs" / "certificates"
    lines = [json.loads(line) for line in (folder / "certificates.jsonl").read_text().splitlines()]
    verdicts = [result[0] for line in lines[1:] for result in line["results"].values()]
    assert set(verdicts) == {"0"}
    assert {line["pair"] for line in lines[1:]} == set(range(200))
    assert len(lines) - 1 == len(lines[0]["settings"]["cells"])
