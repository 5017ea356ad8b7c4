"""The table of traps: correct verifiers that look wrong."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from veridraft.theory.pairs.families import dirichlet_pair
from veridraft.theory.policies.best_first import TopK
from veridraft.theory.policies.paths import Iid

from ..forms.cases import Case
from ..forms.form import Form
from .broken import blocks, histories, traps
from .broken import engines as drafting
from .broken import trees as tree
from .cases import PENALISED
from .correct.token_wise import TokenWise, block_of_chain
from .kinds import Trap

_TREES = (
    Case("top 2 of 3", dirichlet_pair(4, seed=51, concentration=0.6), TopK(2, 2, 4), "a deterministic tree"),
    Case("two paths", dirichlet_pair(3, seed=52, concentration=0.6), Iid(2, 2), "independent draws"),
)

_TRAPS = (
    Trap(
        "sampler_match", Form.CHAIN, traps.sampler_match,
        "the draft's rows are never read, whatever law the drafts had",
        "what is emitted are the target's own draws; the drafts only say how many are made at once",
        "2305.09781, section 4.3; z-lab/dflash issue #74; ml-explore/mlx-swift-lm issue #459",
    ),
    Trap(
        "one_hot_rule", Form.CHAIN, traps.one_hot_rule,
        "drafts that were drawn are verified as if they had been certain",
        "given the draft x, x is emitted with probability p(x) and any y with (1 - p(x)) p(y) / (1 - p(x)) = p(y)",
        "SafeAILab/EAGLE issue #329; vllm-project/vllm PR #44869, which ends such a fallback",
    ),
    Trap(
        "argmax_draft", Form.GENERATE, drafting.argmax_told_as_certain,
        "the draft is not sampled at all",
        "its row is told as it is, all mass on one token; acceptance is lost, exactness is not",
        "NVIDIA/TensorRT-LLM PR #15775",
    ),
    Trap(
        "deterministic_tree", Form.TREE, tree.each_child_certain,
        "children are verified with a draft probability of 1, and the draft's row is not used",
        "given the tree, each child is tried with what is left of its target probability, and erased if it fails",
        "2406.16858; SafeAILab/EAGLE issues #183, #283", _TREES,
    ),
    Trap(
        "independent_draws_without_replacement", Form.TREE, tree.without_replacement,
        "repeated draws are skipped, though draws are independent",
        "their first appearances are draws without replacement, and the draft's row is renormalised for each",
        "2402.12374; a repeated draw skipped without that is lossy, and is number 9",
    ),
    Trap(
        "later_position_rescues", Form.CHAIN, block_of_chain,
        "a position is kept behind one whose test failed",
        "block verification's tests are those of prefixes, not of tokens",
        "2403.10444; vllm-project/vllm-ascend PR #11985, called an error there in review",
    ),
    Trap(
        "cut_behind_end_of_text", Form.CHAIN, traps.cut_behind_zero,
        "the emitted block is cut at a place that depends on its tokens",
        "behind the first end of the text is a stopping time: whether a token is kept is known before it is drawn",
        "huggingface/transformers issue #47912",
    ),
    Trap(
        "draft_ends_behind_unsure_token", Form.GENERATE, traps.ends_behind_unsure_token,
        "the draft's length depends on the values drawn",
        "the token that ends the draft stays in it; to drop it is lossy, and is number 27",
        "huggingface/transformers, assistant_confidence_threshold",
    ),
    Trap(
        "noise_shared_with_target", Form.GENERATE, traps.noise_shared_with_target,
        "draft and target are drawn with one noise vector",
        "the target's own draw is emitted, and a draft kept if it equals that; only a ratio test needs fresh noise",
        "vllm-project/vllm PR #47386, which names the difference",
    ),
    Trap(
        "sharpened_draft", Form.GENERATE, drafting.temperature_on_both_sides,
        "the draft has another temperature than the target",
        "any draft law will do that is the one told to the verifier",
        "2211.17192, section 2.2",
    ),
    Trap(
        "draft_without_newest_token", Form.GENERATE, drafting.draft_without_newest_token,
        "the draft's history lacks the newest token, so that its rows are those of another place",
        "they are told as they were drawn from; the text is exact, and less of it is drafted well",
        "ml-explore/mlx-lm issue #1175; vllm-project/vllm PR #48932, a penalty on the target's side alone",
    ),
    Trap(
        "drafts_history_polluted", Form.GENERATE, histories.drafts_history_polluted,
        "the draft's cache keeps rejected tokens",
        "the target's does not, and the draft's rows are told as they were drawn from",
        "SafeAILab/EAGLE issue #336; ohdearquant/lattice issue #1396", (PENALISED,),
    ),
    Trap(
        "block_of_marginals", Form.GENERATE, blocks.marginals_told,
        "every place of a block is drawn by itself, so that the block makes no sense",
        "it is verified with the marginals that it was drawn from; told as conditionals it is number 51",
        "z-lab/dflash PR #169",
    ),
    Trap(
        "unsure_draft_dropped_under_exact_match", Form.GENERATE, traps.unsure_draft_dropped,
        "a draft of small probability is dropped once it is drawn",
        "what is emitted are the target's own draws, whatever the drafts are; under a ratio test it is number 27",
        "huggingface/transformers, assistant_confidence_threshold with exact match",
    ),
    Trap(
        "token_wise_in_place_of_block", Form.CHAIN, TokenWise(),
        "block verification was asked for, and positions are tested one by one",
        "the standard rule is lossless too; less is accepted, which only acceptance shows",
        "2403.10444, section 4",
    ),
)  # fmt: skip

TRAPS: Mapping[str, Trap] = MappingProxyType({trap.name: trap for trap in _TRAPS})
"""Name to trap, read-only."""
