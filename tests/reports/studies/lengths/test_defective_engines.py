"""Real decoding with a defect in the verifier's place, exported in every shape: what lengths show, and what not."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="veridraft.gpu decodes with torch")
pytest.importorskip("transformers", reason="veridraft.gpu decodes with transformers")

from gpu_tiny import tiny_pair
from safetensors.numpy import save_file

from veridraft.gpu.engines.agreement.agreement import LengthOutcome, compare_same_steps
from veridraft.gpu.engines.agreement.predictions import predict_from_trace
from veridraft.gpu.engines.recorder import write_tree
from veridraft.gpu.engines.trace_writer import TraceWriter
from veridraft.gpu.engines.traces import Trace, load_trace
from veridraft.gpu.verification.table import DEVICE_VERIFIERS
from veridraft.reports.studies.lengths.defective_engines import (
    IN_PLACE,
    NOT_IN_PLACE,
    Engine,
    decoded,
    in_place_of,
    place_of,
)
from veridraft.reports.studies.lengths.readings import SAME, SHAPES, readings
from veridraft.simulate.defects.table import DEFECTS
from veridraft.theory import Chain

LEVEL = 1 - 1e-6
"""Of what must not disagree: a false alarm in a million readings."""

STEPS = 160

FOUND = ("uniform_always_zero", "token_wise_tests_in_block", "children_pruned_by_value", "argmax_told_as_sampled")
"""They change the probability of reaching some position by 0.2 or more; a chain, a block, a tree, a draft."""

CALM = (("softmax_of_residual", "broken"), ("stale_residual_for_bonus", "broken"), ("uniform_always_zero", "correct"),
        ("children_pruned_by_value", "correct"))  # fmt: skip
"""Two defects that accept as the right procedure does, coin by coin, and two right procedures."""


@cache
def pair():
    return tiny_pair(vocabulary_size=16, positions=128)


@cache
def run_of(name: str, kind: str, seed: int):
    """(recorder, trees, the right verifier's lengths on these trees) of a defect or of the procedure beside it."""
    defect = IN_PLACE[name]
    verifier, policy = place_of(defect)
    recorder, trees = decoded(
        pair(), verifier, Engine(defect.form, getattr(defect, kind), policy, seed), STEPS, seed, rows=32, tokens=32
    )
    return recorder, trees, predict_from_trace(Trace(recorder.trace.arrays()), verifier, policy)


def read_in_every_shape(name: str, kind: str, folder, level: float):
    recorder, _, own = run_of(name, kind, 1)
    return readings(recorder, own, run_of(name, kind, 2)[2], folder, level)


@pytest.mark.parametrize("name", FOUND)
def test_defects_that_change_lengths_are_found(name, tmp_path):
    """Given the same steps and in all files that tell requests apart; the counters count ten steps as one."""
    assert DEFECTS[name] is IN_PLACE[name]
    found = read_in_every_shape(name, "broken", tmp_path, 0.99)
    assert set(found) > set(SHAPES)
    loose = {"vLLM counters", "llama.cpp counters"}
    assert {shape for shape, one in found.items() if one.outcome is not LengthOutcome.DISAGREES} <= loose
    assert found[SAME].p_value < 1e-9


@pytest.mark.parametrize(("name", "kind"), CALM)
def test_right_procedures_and_defects_that_leave_lengths_alone_do_not_disagree(name, kind, tmp_path):
    found = read_in_every_shape(name, kind, tmp_path, LEVEL)
    assert all(one.outcome is not LengthOutcome.DISAGREES for one in found.values())


def test_a_draft_told_wrongly_agrees_with_a_trace_of_what_the_verifier_was_told():
    """The rows in such a trace are consistent with what was accepted: where tokens came from, it does not hold."""
    recorder, trees, drawn = run_of("argmax_told_as_sampled", "broken", 1)
    told = TraceWriter()
    requests, taus = recorder.trace.found["requests"], recorder.trace.found["accepted"]
    for request, tree, tau in zip(requests, trees, taus, strict=True):
        write_tree(told, request, tree, tau)
    assert compare_same_steps(drawn, LEVEL).outcome is LengthOutcome.DISAGREES
    found = predict_from_trace(Trace(told.arrays()), "naive", Chain(3))
    assert compare_same_steps(found, LEVEL, within=0.3).outcome is LengthOutcome.AGREES


def test_both_forms_of_a_trace_hold_the_same_steps(tmp_path):
    recorder, trees, own = run_of("children_pruned_by_value", "broken", 1)
    recorder.trace.save(tmp_path / "t.npz")
    save_file(recorder.trace.arrays(), tmp_path / "t.safetensors")
    for path in ("t.npz", "t.safetensors"):
        trace = load_trace(tmp_path / path)
        assert trace.accepted.tolist() == recorder.trace.found["accepted"]
        assert np.allclose(trace.tree(7).target, trees[7].target, rtol=0, atol=1e-12)
        found = compare_same_steps(predict_from_trace(trace, *place_of(IN_PLACE["children_pruned_by_value"])), LEVEL)
        assert found.whole.p_value == compare_same_steps(own, LEVEL).whole.p_value


def test_the_verifier_s_own_place_is_given_back():
    own = DEVICE_VERIFIERS["naive"]
    engine = SimpleNamespace(decide=None)
    with pytest.raises(KeyError), in_place_of("naive", engine):
        assert DEVICE_VERIFIERS["naive"].decide is None
        raise KeyError
    assert DEVICE_VERIFIERS["naive"] is own


def test_every_defect_is_put_in_place_or_said_not_to_be():
    assert set(IN_PLACE) | set(NOT_IN_PLACE) == {*DEFECTS, "planted_bias"}
    assert not set(IN_PLACE) & set(NOT_IN_PLACE)
