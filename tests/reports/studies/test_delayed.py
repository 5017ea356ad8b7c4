"""The delayed-expansion report: the shapes that are compared, the comparison, and its files."""

from itertools import pairwise

import pytest

from veridraft.reports import cli
from veridraft.reports.studies.delayed import cases
from veridraft.reports.studies.delayed.cases import (
    SETTINGS,
    SMALL_SETTINGS,
    Setting,
    ShapeComparison,
    compare_same_depth,
    compare_shapes,
    divergence_of,
    is_delayed,
    is_root,
    shapes,
    small_values_of,
    values_by_setting,
    values_of,
)
from veridraft.reports.studies.delayed.study import DelayedFile
from veridraft.theory import Chain, Delayed, block_efficiency

SETTING = Setting(start=0.2, growth=0.05, spread=1.5, temperature=1.0, top_p=0.99)


@pytest.mark.parametrize("size", [1, 2, 8, 12, 16])
def test_shapes_are_all_trees_of_the_size_each_once(size):
    found = list(shapes(size))
    assert all(size == policy.L1 + policy.K * policy.L2 and policy.L2 >= 1 for policy in found)
    assert len(set(found)) == len(found)
    everything = [Delayed(paths, trunk, branch) for paths in range(2, 9) for trunk in range(size + 1)
                  for branch in range(1, size + 1) if trunk + paths * branch == size]  # fmt: skip
    assert set(found) == {Delayed(1, 0, size), *everything}
    assert sum(map(is_root, found)) + sum(map(is_delayed, found)) == len(everything)


def test_comparisons_take_the_best_of_each_kind():
    values = {Delayed(1, 0, 8): 2.0, Delayed(2, 0, 4): 3.0, Delayed(4, 0, 2): 2.5, Delayed(2, 2, 3): 3.3,
              Delayed(2, 4, 2): 3.1, Delayed(3, 2, 2): 2.7}  # fmt: skip
    found = compare_shapes(values, 8)
    assert (found.root, found.delayed, found.chain_value) == (Delayed(2, 0, 4), Delayed(2, 2, 3), 2.0)
    assert found.gain == pytest.approx(0.1)
    assert found.best == "delayed"
    same = compare_same_depth(values, Delayed(2, 0, 4))
    assert same is not None and (same.delayed, same.gain) == (Delayed(3, 2, 2), pytest.approx(-0.1))
    assert compare_same_depth(values, Delayed(4, 0, 2)) is None
    assert ShapeComparison(Delayed(2, 0, 4), 3.0, Delayed(2, 2, 3), 2.0, 3.001).best == "none"


def test_values_are_those_of_the_programme():
    values = values_of("specinfer", SETTING)
    for policy in (Delayed(2, 2, 7), Delayed(4, 0, 3), Delayed(1, 0, 16)):
        single = [block_efficiency("specinfer", policy, SETTING.pair(seed), method="dp").value for seed in (1, 2)]
        assert values[policy] == pytest.approx(sum(single) / 2, abs=1e-12)
    small = small_values_of("lifted_rrs", SMALL_SETTINGS[4])
    chains = [block_efficiency("block", Chain(6), SMALL_SETTINGS[4].small_pair(seed)).value for seed in (1, 2)]
    assert small[Delayed(1, 0, 6)] == pytest.approx(sum(chains) / 2, abs=1e-12)


def test_divergence_rises_exactly_where_it_is_said_to():
    rising, level = divergence_of(SETTING), divergence_of(Setting(0.2, 0.0, 1.5, 1.0, 0.99))
    assert all(here < deeper for here, deeper in pairwise(rising))
    assert max(level[2:]) - min(level[2:]) < 0.01


def test_files_are_written_and_hold_what_the_tables_show(tmp_path, monkeypatch, capsys):
    kinds = {
        "all shapes": (("specinfer",), (SETTING,), values_of),
        "small pairs": (("lifted_rrs",), SMALL_SETTINGS[:1], small_values_of),
    }
    monkeypatch.setattr(cases, "KINDS", kinds)
    assert cli.main(["study", "run", "delayed", "--out", str(tmp_path)]) == 0
    found = compare_shapes(values_of("specinfer", SETTING), 16)
    held = values_by_setting(DelayedFile.load(tmp_path).cells, "all shapes")["specinfer", SETTING]
    again = compare_shapes(held, 16)
    assert (again.root, again.delayed) == (found.root, found.delayed)
    assert again.delayed_value == pytest.approx(found.delayed_value, abs=1e-9)
    text = (tmp_path / "delayed.txt").read_text()
    assert f"{found.delayed_value:.3f}" in text and text.strip() in capsys.readouterr().out
    assert (tmp_path / "delayed.svg").read_text().count("<path") > 20


def test_the_settings_cover_what_they_are_said_to():
    assert {setting.temperature for setting in SETTINGS} == {0.2, 0.6, 1.0, 1.2}
    assert {setting.top_p for setting in SETTINGS} == {0.9, 0.99}
    assert any(setting.growth == 0 for setting in SETTINGS)
    assert len(set(SETTINGS)) == len(SETTINGS)
