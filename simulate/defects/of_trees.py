"""Defects of several paths and of trees."""

from __future__ import annotations

from ..forms.form import Form
from ..procedures.one_step import specinfer, spectr
from ..procedures.traversal_verification import traversal
from . import cases
from .broken import trees as tree
from .broken.paths import duplicates_passed_over, leaves_in_draw_order
from .broken.planted import trunk_counted_k_times
from .kinds import Batched, Case, Defect


def _paths(number: int, name: str, seen_in: str, mechanism: str, pair: tuple[Batched, Batched], *own: Case) -> Defect:
    return Defect(number, name, seen_in, mechanism, Form.PATHS, *pair, own)


def _tree(
    number: int, name: str, seen_in: str, mechanism: str, broken: Batched, *own: Case,
    correct: Batched = tree.without_replacement,
) -> Defect:  # fmt: skip
    return Defect(number, name, seen_in, mechanism, Form.TREE, broken, correct, own)


TREES = (
    _tree(
        8, "stale_residual_for_bonus", "SafeAILab/EAGLE PR #47",
        "the bonus token is drawn from the residual that a rejected sibling of the leaf had left",
        tree.stale_residual_behind_leaf, cases.LEAF_BEHIND_SIBLING,
    ),
    _paths(
        9, "duplicates_skipped", "MasterGodzilla/Speculative_decoding_OT, its copy of EAGLE",
        "a repeated draw is skipped, neither tested nor taken off the target, though draws are independent",
        (duplicates_passed_over, specinfer), cases.REPEATED_DRAWS,
    ),
    _tree(
        23, "sibling_row_read", "NVIDIA/TensorRT-LLM PR #15098",
        "a node is verified with the target's row of its sibling", tree.siblings_rows_read,
    ),
    _tree(
        27, "children_pruned_by_value", "a comment in a kernel for UniVer",
        "drafted children are dropped, once drawn, for a small draft probability", tree.pruned_after_drawing,
    ),
    _tree(
        30, "sure_hub_accepted", "MasterGodzilla/Speculative_decoding_OT, its copy of EAGLE",
        "the hub is accepted without a coin where the target is nearly sure of it",
        tree.sure_hub_accepted, cases.SURE_HUB, correct=tree.hub_pairs,
    ),
    _tree(
        39, "siblings_not_renormalised", "SafeAILab/EAGLE issue #74",
        "siblings are drawn without replacement, and the later ones verified with the row not renormalised",
        tree.not_renormalised, cases.SIBLINGS_WITHOUT_REPLACEMENT,
    ),
    _tree(
        42, "attention_mask_leak", "tenstorrent/tt-metal issue #48899",
        "the attention mask lets a sibling's tokens into a node's target row", tree.rows_leaking_between_siblings,
    ),
    _tree(
        52, "residual_not_normalised", "an omission in 2305.09781, Algorithm 2",
        "the next sibling is tested with the residual of the one before, whose mass is below 1",
        tree.residual_not_normalised, cases.RESIDUAL_OF_SMALL_MASS,
    ),
    _paths(
        43, "trunk_counted_k_times", "a first draft of this library",
        "a trunk that K paths share counts as K independent draws that happened to agree",
        (trunk_counted_k_times(spectr), spectr), cases.SHARED_TRUNK,
    ),
    _paths(
        44, "leaves_in_draw_order", "a public reference implementation of 2505.12398",
        "leaves are decided in the order in which the paths were drawn, not depth first",
        (leaves_in_draw_order, traversal), cases.INTERLEAVED_PATHS,
    ),
)  # fmt: skip
"""Numbered as in the list of real defects."""
