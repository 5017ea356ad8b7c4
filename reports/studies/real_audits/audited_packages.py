"""Packages of the Python index under audit: what is called, with which settings, and what was left out."""

from __future__ import annotations

from veridraft.simulate.forms.form import Form

from . import exact_packages as exact
from . import package_chains as chains
from . import package_loops as loops
from .audited import BATCHED, Auditee

CASES = "default cases, float32"
ROUND = f"{loops.DEPTH} drafts of a pair of 4 tokens"
CONTROL = "documented as lossy: a control"
SWAPPED = "its target has no top_p: the argument arrives as top_k, and as top_p the flag True"
TUPLES = "with a cache of tuples: it crops others by a positive length, which transformers 5 refuses"


def auditees() -> tuple[Auditee, ...]:
    """All of them, by package."""
    return _of_chains() + _of_rotalabs() + _of_loops()


def _of_chains() -> tuple[Auditee, ...]:
    """Verifiers that are handed a draft."""
    one, many = Form.CHAIN, {"batched": True, "trials": BATCHED}
    named = {
        "flashspec": (("rejection_step", one, chains.flashspec_step, many),
                      ("rejection_step_onehot", one, chains.flashspec_onehot, many),
                      ("rejection_sample", one, chains.flashspec_sample, many)),
        "economize": (("RejectionVerifier.verify", one, chains.economize_chain, {}),
                      ("RejectionVerifier.verify_batch", one, chains.economize_batch, many),
                      ("RejectionVerifier.verify_tree", Form.TREE, chains.economize_tree, {}),
                      ("TypicalVerifier.verify", one, chains.economize_typical,
                       {"claim": CONTROL, "exact": exact.typical})),
        "dflash": (("_rejection_sample", one, chains.dflash_sample, {}),),
    }  # fmt: skip
    return tuple(
        Auditee(f"{package} {what}", package, what, CASES, form, build, **more)
        for package, rows in named.items() for what, form, build, more in rows
    )  # fmt: skip


def _of_rotalabs() -> tuple[Auditee, ...]:
    """What rotalabs-accel has of verifiers, and its entry point."""
    package, one, generate = "rotalabs-accel", Form.CHAIN, Form.GENERATE
    return (
        Auditee("rotalabs rejection_sample", package, "sampling.rejection_sample", CASES, one, chains.rotalabs_sample,
                exact=exact.rotalabs_sample),
        Auditee("rotalabs verify_tokens", package, "core.verify_tokens", "default top_p 0.9", one,
                chains.rotalabs_verify, remark=SWAPPED, exact=exact.rotalabs_bonus),
        Auditee("rotalabs eagle_verify", package, "eagle.eagle_verify", "use_sampling=True", one, chains.rotalabs_eagle,
                exact=exact.rotalabs_eagle),
        Auditee("rotalabs verify_tree", package, "tree.build_tree, verify_tree", "2 children, 2 levels", generate,
                loops.rotalabs_tree, exact=exact.rotalabs_tree),
        Auditee("rotalabs speculative_decode", package, "core.speculative_decode", "two tiny Llamas", generate,
                loops.rotalabs_decode),
    )  # fmt: skip


def _of_loops() -> tuple[Auditee, ...]:
    """Loops that draft by themselves."""
    lucid, sequential, generate = "speculative-decoding", "sequential-speculative-decoding", Form.GENERATE
    confirmed = {"capped_hsd_step": exact.capped}
    return (
        Auditee("specdec round", "specdec", "SpecDecoder.generate_small, verify", ROUND, generate, loops.specdec_round),
        Auditee("mini-infer speculative_step", "mini-infer", "speculative_step", f"{ROUND}, temperature 1", generate,
                loops.mini_infer_step),
        *(
            Auditee(f"{lucid}, filter_thres {share:g}", lucid, "speculative_decoding", f"filter_thres {share:g}",
                    generate, loops.lucid(share), trials=2500)
            for share in (0.0, 0.5)
        ),
        *(
            Auditee(f"sequential {name}", sequential, name, "3 drafts, temperature 1", generate, loops.sequential(name),
                    exact=confirmed.get(name))
            for name in loops.SEQUENTIAL
        ),
        Auditee("csaq-quant loop", "csaq-quant", "CSAQInferenceEngine._generate_speculative", ROUND, generate,
                loops.csaq_loop, remark=TUPLES, exact=exact.csaq),
    )  # fmt: skip


LEFT_OUT: dict[str, str] = {
    "core-deepinfer": "verifies greedily only: there is no law to preserve but the argmax",
    "divine-mtp": "verifies greedily only; 0.1.0 does not import under Python 3.11 (NameError: Tuple)",
    "drafters": "has no verifier",
    "octane-sd": "a command line for a CUDA runtime that is not in the distribution",
    "autodraft-sd": "verifies inside a loop that synchronises a CUDA device",
    "specstream": "does not run with transformers 5 (it reads LlamaAttention.hidden_size)",
    "flashmap": "its verification is written inside the generate of a drafter that needs trained weights",
    "naive-speculate": "needs Python 3.14",
    "inferris-lite": "needs Python 3.12",
    "dejavuu": "needs Python 3.13",
}
"""Packages that were looked at, or asked for, and not audited: why."""
