"""Suites made by hand: cells as a run writes them, their times and scores drawn with a known truth."""

from __future__ import annotations

import numpy as np

from veridraft.gpu.files.kinds import SuiteFile
from veridraft.theory.policies.paths import Chain, Delayed, Iid
from veridraft.theory.speed.rates import Term
from veridraft.theory.verifiers.table import get_verifier

POLICIES = (Chain(3), Iid(4, 3), Delayed(3, 1, 2))
VERIFIERS = ("naive", "nss", "spectr", "block", "traversal", "lifted_k_seq")
SETTINGS = ((0.2, 1.0), (1.0, 1.0))
MS = {Term.DRAFT: 30.0, Term.TARGET: 60.0, Term.VERIFICATION: 4.0, Term.OVERHEAD: 6.0}
DEPTHS = {"measured": [400, 300, 300], "expected": [410.0, 291.0, 200.0, 99.0]}
MACHINE = {"name": "a machine", "processor": "x86_64", "cores": 2, "python": "3.11.7", "torch": "2.13.0",
           "transformers": "5.23.0", "numpy": "2.4.0", "threads": 1}  # fmt: skip


def spans(milliseconds):
    """Seconds of each term by both clocks, the wall clock a fifth behind."""
    return {term.value: {"wall": 1.2e-3 * ms, "cpu": 1e-3 * ms} for term, ms in milliseconds.items()}


def rounds(rng, efficiency=2.0, slower=1.0, count=8, steps=8, rows=8, noise=0.02, spent=MS):
    """Rounds whose tokens are predicted without bias; times are ``slower`` times the predicted ones, by term."""
    slower = dict.fromkeys(Term, slower) if isinstance(slower, (int, float)) else slower
    found = []
    for _ in range(count):
        foreseen = {term: steps * ms for term, ms in spent.items()}
        actual = {term: ms * slower.get(term, 1.0) * rng.lognormal(0, noise) for term, ms in foreseen.items()}
        tokens = float(rng.normal(efficiency, noise)) * steps * rows
        found.append({
            "steps": steps, "tokens": round(tokens), "law_tokens": tokens,
            "predicted_tokens": tokens * rng.lognormal(0, noise),
            "seconds": spans(actual), "predicted_seconds": spans(foreseen),
        })  # fmt: skip
    return found


def speeds(found, rows=8):
    """Of all passes: twice those that are compared, with the same times."""
    return [
        {"passes": 2 * one["steps"], "trees": 2 * rows * one["steps"], "tokens": 2 * one["tokens"],
         "law_tokens": 2 * one["law_tokens"], "seconds": {term: {clock: 2 * spent for clock, spent in clocks.items()}
                                                         for term, clocks in one["seconds"].items()}}
        for one in found
    ]  # fmt: skip


def cell(verifier="traversal", policy="Iid(4, 3)", temperature=1.0, top_p=1.0, seed=0, efficiency=2.0, z=None, **timed):
    """A finished cell; ``timed`` goes to :func:`rounds`."""
    rng = np.random.default_rng([seed, len(verifier), len(policy), round(10 * temperature), round(10 * top_p)])
    scores = rng.normal(size=3).tolist() if z is None else [z] * 3
    difference, found = 0.01 * scores[0], rounds(rng, efficiency, **timed)
    return {
        "verifier": verifier, "policy": policy, "temperature": temperature, "top_p": top_p, "trees": 1000,
        "passes": 125, "compared": 496, "measured": efficiency + difference, "predicted": efficiency,
        "difference": difference, "interval": [-0.04, 0.04], "level": 0.999, "measured_all": efficiency,
        "z": scores[0], "z_draft": scores[1], "z_text": scores[2], "notes": {},
        "verdict": "agrees" if max(map(abs, scores)) < 4 else "disagrees",
        "rounds": found, "speeds": speeds(found), "peak_bytes": int(1e9 * (1 + rng.random())),
        "mean_tree_size": 9.5, "texts": 12, "by_depth": DEPTHS, "text_tokens": 2000, "drawn_tokens": 8000,
        "seconds": 60.0, "prediction_seconds": 20.0,
    }  # fmt: skip


def plain(temperature=1.0, top_p=1.0, **timed):
    """Plain decoding."""
    note = {"z": "not applicable: zero variance", "z_draft": "not applicable: nothing is drawn"}
    spent = {Term.DRAFT: 0.0, Term.TARGET: 55.0, Term.VERIFICATION: 1.0, Term.OVERHEAD: 4.0}
    made = cell("nss", "Chain(0)", temperature, top_p, efficiency=1.0, spent=spent, **timed)
    tokens = {"tokens": 64, "predicted_tokens": 64.0, "law_tokens": 64.0}
    exact = [record | tokens for record in made["rounds"]]
    return made | {"measured": 1.0, "difference": 0.0, "interval": [0.0, 0.0], "z": None, "z_draft": None,
                   "notes": note, "rounds": exact, "speeds": speeds(exact)}  # fmt: skip


def left_out(verifier="khisti", policy="Iid(4, 3)", temperature=1.0, top_p=1.0):
    """A cell that cannot be run."""
    return {"verifier": verifier, "policy": policy, "temperature": temperature, "top_p": top_p,
            "left_out": "its law over 49,152 tokens takes minutes a tree"}  # fmt: skip


def cells_of(verifiers=VERIFIERS, policies=POLICIES, settings=SETTINGS):
    """The cells of a grid: better verifiers at low temperatures, delayed trees best, and plain decoding."""
    found = []
    for temperature, top_p in settings:
        found += [plain(temperature, top_p), left_out("optimal", "Iid(4, 3)", temperature, top_p)]
        for place, name in enumerate(verifiers):
            for policy in policies:
                if name != "optimal" and get_verifier(name).supports(policy):
                    efficiency = 1.9 + 0.05 * place - 0.2 * temperature + 0.4 * (type(policy) is Delayed)
                    found.append(cell(name, policy.name, temperature, top_p, place, efficiency))
    return found


def suite(cells=None, missing=(), folder=None, **settings):
    """A suite's file with the cells; ``missing`` ones are planned and not finished; ``None`` keeps it in memory."""
    cells = cells_of() if cells is None else list(cells)
    planned = [[one[name] for name in ("verifier", "policy", "temperature", "top_p")] for one in cells]
    held = {
        "suite": "small", "target": "SmolLM2-135M-Instruct", "draft": "skip:17,18,16,14", "vocabulary_size": 49152,
        "device": "cpu", "dtype": "float32", "packed": False, "timing_only": False, "cells": planned, "steps": 1000,
        "rows": 8, "seed": 0, "level": 0.99, "threshold": 4.0, "max_new_tokens": 96, "prompts": 3141592653,
    }  # fmt: skip
    planned += [list(one) for one in missing]
    command = "veridraft crosscheck --suite small --out suite"
    file = SuiteFile.open(folder, command, held | settings, MACHINE)
    for one in cells:
        file.add(one)
    return file
