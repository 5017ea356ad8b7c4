"""The suite of cross-checks: its cells, what a cell says of right and of wrong decoding, and its file."""

from __future__ import annotations

import json
from statistics import NormalDist

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import tiny_pair

from veridraft.gpu.crosschecks.cells import SUITES, SuiteCell, cells_of
from veridraft.gpu.crosschecks.suite import SuitePlan, measure_cell, run_suite
from veridraft.gpu.crosschecks.tally import CellTally
from veridraft.gpu.decoding import batch as batch_decoding
from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.decoding.requests import Request
from veridraft.gpu.decoding.step_watch import WatchedDecoder
from veridraft.gpu.files.kinds import SuiteFile
from veridraft.gpu.latency.pass_times import PassTimes
from veridraft.gpu.latency.speed_rows import SpeedRow
from veridraft.gpu.verification.table import Outcomes
from veridraft.theory.verifiers.table import VERIFIERS, get_verifier

NEVER = -NormalDist().inv_cdf(1e-7 / 2)
"""A score beyond this is met by chance once in ten million."""


def a_cell(verifier: str, policy: str, temperature: float = 1.0, top_p: float = 1.0) -> SuiteCell:
    return cells_of("small", [verifier], [policy], [temperature], [top_p])[-1]


def plan_of(pair, cell: SuiteCell, steps: int = 160, rows: int = 8) -> SuitePlan:
    return SuitePlan("small", (cell,), ((3, 1, 4), (1, 5, 9, 2)), steps, rows, max_new_tokens=24)


def scores_of(record) -> list[float]:
    """All scores of a cell, that of the comparison among them."""
    half = NormalDist().inv_cdf((1 + record["level"]) / 2)
    error = (record["interval"][1] - record["interval"][0]) / 2 / half
    scores = [record[name] for name in ("z", "z_draft", "z_text")]
    return [score for score in scores if score is not None] + ([record["difference"] / error] if error else [])


def test_the_suites_hold_every_verifier_and_plain_decoding():
    for suite, chosen in SUITES.items():
        cells = cells_of(suite)
        samplings = {(cell.sampling.temperature, cell.sampling.top_p) for cell in cells}
        assert len(samplings) == len(chosen.temperatures) * len(chosen.top_ps)
        assert len({cell.key for cell in cells}) == len(cells)
        for temperature, top_p in samplings:
            assert ("nss", "Chain(0)", temperature, top_p) in {cell.key for cell in cells}
        without_replacement = {name for name in VERIFIERS if name.endswith("without_replacement")}
        missing = set(VERIFIERS) - {cell.verifier for cell in cells}
        assert missing == (without_replacement if suite == "small" else set())
        assert all(get_verifier(cell.verifier).supports(cell.policy) for cell in cells)


def test_a_part_of_a_suite_is_named():
    cells = cells_of("full", ["block", "traversal"], ["Chain(2)", "NGram(2)"], [0.5], [1.0])
    wanted = [("nss", "Chain(0)"), ("block", "Chain(2)"), ("traversal", "Chain(2)")]
    assert [cell.key for cell in cells] == [(*one, 0.5, 1.0) for one in wanted]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("large",), "suite must be one of small, full, but is 'large'"),
        (("small", ["no"]), "no"),
        (("small", ["block"], ["Iid(2, 2)"]), r"verifier 'block' takes none of the policies Iid\(2, 2\)"),
        (("small", None, ["Chain(2)", "chain(2)"]), "policies must be distinct"),
        (("small", None, None, []), "temperatures must be distinct, and at least one, but are none"),
        (("small", None, None, [-1.0]), "temperature must be finite and at least 0"),
        (("small", None, None, None, [1.0, 1.0]), "top-ps must be distinct, and at least one, but are 1.0, 1.0"),
    ],
)
def test_suites_that_do_not_exist_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        cells_of(*arguments)


def test_too_few_steps_are_refused():
    with pytest.raises(ValueError, match="steps must be at least 6 for each of the 8 rows, that is 48, but is 47"):
        plan_of(tiny_pair(), a_cell("block", "Chain(2)"), steps=47)


@pytest.mark.parametrize(
    ("verifier", "policy", "temperature", "top_p"),
    [
        ("block", "Chain(3)", 1.0, 1.0),
        ("traversal", "Iid(3, 2)", 0.6, 0.9),
        ("lifted_k_seq", "Delayed(3, 1, 1)", 1.2, 1.0),
        ("rrsw", "Static(2x2)", 1.0, 0.9),
        ("spechub", "HubPairs(2)", 1.0, 1.0),
        ("optimal", "Iid(2, 2)", 1.0, 1.0),
        ("nss", "TopK(2, 2, 4)", 1.0, 1.0),
        ("nss", "NGram(2)", 0.6, 1.0),
    ],
)
def test_a_right_cell_agrees(verifier, policy, temperature, top_p):
    pair, cell = tiny_pair(), a_cell(verifier, policy, temperature, top_p)
    record = measure_cell(pair, cell, plan_of(pair, cell))
    assert (record["trees"], record["passes"], record["compared"]) == (160, 20, 80)
    assert max(map(abs, scores_of(record))) < NEVER
    assert record["measured_all"] > 1 and record["text_tokens"] > 160
    row = SpeedRow(verifier, policy, "cpu", record["rounds"])
    assert row.steps == 10 and sum(one["tokens"] for one in record["rounds"]) == round(record["measured"] * 80)
    assert row.tokens("predicted_tokens") == pytest.approx(record["predicted"] * 8)
    check_sums(record)
    assert all(one["predicted_seconds"]["target pass"]["wall"] > 0 for one in record["rounds"])


def check_sums(record) -> None:
    """What the rounds of all passes add up to is what the cell says of all trees."""
    speeds, depths = record["speeds"], record["by_depth"]
    assert sum(one["trees"] for one in speeds) == sum(depths["measured"]) == record["trees"]
    assert sum(one["tokens"] for one in speeds) == round(record["measured_all"] * record["trees"])
    assert sum(depths["expected"]) == pytest.approx(record["trees"])
    mean = sum((depth + 1) * expected for depth, expected in enumerate(depths["expected"]))
    assert sum(one["law_tokens"] for one in speeds) == pytest.approx(mean)
    assert all(seconds["wall"] >= 0 for one in speeds for seconds in one["seconds"].values())


def test_plain_decoding_is_one_token_a_pass():
    pair, cell = tiny_pair(), cells_of("small")[0]
    record = measure_cell(pair, cell, plan_of(pair, cell, steps=48))
    assert record["measured"] == record["predicted"] == record["measured_all"] == 1
    assert record["z"] is None and record["notes"]["z"].startswith("not applicable")
    assert all(one["predicted_seconds"]["draft passes"] == {"wall": 0, "cpu": 0} for one in record["rounds"])


def never_the_last(outcomes, batch):
    """Goes back to the root where everything was accepted: the lengths are wrong, and the texts with them."""
    return torch.where(outcomes.columns == batch.columns - 1, 0, outcomes.columns), outcomes.tokens


def an_unlikely_token(outcomes, batch):
    """Emits the least likely token once in a while: the texts are wrong, the lengths right."""
    wrong = batch.tokens[:, 1] % 4 == 0
    unlikely = batch.target[batch.rows[:, 0], outcomes.columns].argmin(dim=1)
    return outcomes.columns, torch.where(wrong, unlikely, outcomes.tokens)


@pytest.mark.parametrize(("defect", "score"), [(never_the_last, "z"), (an_unlikely_token, "z_text")])
def test_a_wrong_verifier_disagrees(monkeypatch, defect, score):
    right = batch_decoding.verify_batch
    monkeypatch.setattr(
        batch_decoding, "verify_batch",
        lambda name, batch, coins: Outcomes(*defect(right(name, batch, coins), batch)),
    )  # fmt: skip
    pair, cell = tiny_pair(), a_cell("naive", "Chain(2)")
    record = measure_cell(pair, cell, plan_of(pair, cell, steps=320))
    assert record["verdict"] == "disagrees" and abs(record[score]) > NEVER


def test_a_draft_that_is_drawn_otherwise_disagrees(monkeypatch):
    from veridraft.gpu.decoding.drafting import child_draws

    monkeypatch.setitem(
        child_draws.DRAWS,
        child_draws.ChildDraw.INDEPENDENT,
        lambda rows, uniforms: child_draws._independent(rows**2, uniforms),
    )
    pair, cell = tiny_pair(), a_cell("naive", "Chain(2)")
    record = measure_cell(pair, cell, plan_of(pair, cell))
    assert record["verdict"] == "disagrees" and abs(record["z_draft"]) > NEVER


def test_watching_changes_no_text():
    pair, cell = tiny_pair(), a_cell("traversal", "Iid(3, 2)")
    requests = [Request((3, 1, 4), 20, seed) for seed in range(5)]
    plain = BatchDecoder(pair, cell.verifier, cell.policy, cell.sampling, rows=2).decode(requests)
    tally = CellTally(cell, 10**6, np.random.default_rng(0))
    decoder = WatchedDecoder(pair, cell.verifier, cell.policy, tally, cell.sampling, rows=2)
    assert decoder.decode(requests) == plain
    assert tuple(tuple(tally.texts[number]) for number in range(5)) == tuple(text.tokens for text in plain)
    assert tally.accepted == sum(sum(text.taus) for text in plain)


def test_a_law_that_cannot_be_had_is_said(tmp_path):
    pair = tiny_pair()
    plan = SuitePlan("small", cells_of("small", ["optimal_plan"], ["Iid(3, 2)"]), ((3, 1),), 24, 4)
    *_, (done, total, file) = run_suite(pair, plan, tmp_path)
    assert done == total == 2 and "is for small vocabularies" in file.cells[1]["left_out"] and "z" not in file.cells[1]


def test_pass_times_lie_on_the_line_between_the_narrowest_and_the_widest():
    times, asked = PassTimes(), []

    def timer(network, size):
        asked.append((network, size))
        return np.array([size[1], 10.0 * size[1]]) + len(asked) // 4

    times.ask({"target": [(2, 3), (2, 7), (2, 5)], "draft": [(1, 1)]})
    for _ in range(2):
        times.measure(timer)
    assert sorted(asked) == sorted(2 * [("target", (2, 3)), ("target", (2, 7)), ("draft", (1, 1))])
    assert times.seconds("target", (2, 5)) == pytest.approx([5.5, 50.5], abs=0.51)
    assert times.total("target", [(2, 3), (2, 3)]) == pytest.approx(2 * times.seconds("target", (2, 3)))
    with pytest.raises(ValueError, match="no draft pass of 4 rows was measured"):
        times.seconds("draft", (4, 1))


class TestFile:
    """The file of a suite."""

    plan = SuitePlan("small", cells_of("small", ["naive", "block"], ["Chain(2)"]), ((3, 1, 4),), 24, 4)

    def finished(self, folder, cells: int | None = None):
        run = run_suite(tiny_pair(), self.plan, folder, "veridraft test")
        return next(file for done, total, file in run if done == (total if cells is None else cells))

    def test_it_is_read_as_it_was_written(self, tmp_path):
        file = self.finished(tmp_path)
        held = SuiteFile.load(tmp_path)
        assert (held.cells, held.settings, held.command) == (file.cells, file.settings, "veridraft test")
        assert not held.missing and len(held.cells) == 3

    def test_a_half_written_line_is_taken_away_and_its_cell_run_again(self, tmp_path):
        whole = self.finished(tmp_path / "whole")
        self.finished(tmp_path / "cut", cells=2)
        path = tmp_path / "cut" / "suite.jsonl"
        path.write_text(path.read_text()[:-40])
        assert len(SuiteFile.load(path).cells) == 1
        again = self.finished(tmp_path / "cut")
        assert [*map(SuiteFile.key, again.cells)] == [*map(SuiteFile.key, whole.cells)]
        for one, other in zip(again.cells, whole.cells, strict=True):
            same = ("measured", "predicted", "z", "z_draft", "z_text", "text_tokens", "interval")
            assert {name: one[name] for name in same} == {name: other[name] for name in same}
        assert len(path.read_text().splitlines()) == 4

    def test_only_a_head_that_was_cut_short_is_a_new_file(self, tmp_path):
        (tmp_path / "suite.jsonl").write_text('{"kind": "veri')
        assert len(self.finished(tmp_path).cells) == 3

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda lines: [*lines, lines[1]], "line 5: .* stands there twice"),
            (lambda lines: [lines[0], "{]", *lines[2:]], "line 2 is no JSON"),
            (lambda lines: [lines[0], "[]", *lines[2:]], "line 2 lacks 'verifier'"),
            (lambda lines: lines[1:], "line 1 lacks 'command'"),
            (lambda lines: [lines[0].replace("veridraft suite", "other"), *lines[1:]], "its first line's kind is not"),
            (lambda lines: [lines[0], lines[1].replace("Chain(0)", "Chain(9)")], "is none of its planned cells"),
        ],
    )
    def test_broken_files_are_refused(self, tmp_path, change, message):
        self.finished(tmp_path)
        path = tmp_path / "suite.jsonl"
        path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
        with pytest.raises(ValueError, match=message):
            SuiteFile.load(tmp_path)

    def test_a_folder_with_another_suite_is_refused(self, tmp_path):
        self.finished(tmp_path, cells=1)
        other = SuitePlan("small", self.plan.cells, self.plan.prompts, 28, 4)
        with pytest.raises(ValueError, match="holds a suite whose steps is 24, not 28: give another folder"):
            next(run_suite(tiny_pair(), other, tmp_path))
        head, *rest = (tmp_path / "suite.jsonl").read_text().splitlines()
        record = json.loads(head)
        record["machine"]["torch"] = "0.1"
        (tmp_path / "suite.jsonl").write_text("\n".join([json.dumps(record), *rest]) + "\n")
        with pytest.raises(ValueError, match=r"holds a suite whose machine's torch is '0\.1', not"):
            self.finished(tmp_path)
