"""Runs of the study `wins` made by hand, their times and tokens drawn with a known truth."""

from __future__ import annotations

import numpy as np
from suite_samples import MACHINE

from veridraft.gpu.files.kinds import WinsFile
from veridraft.reports.studies.wins.rows import RootRow

EFFICIENCY = {
    ("nss", "Chain(0)"): 1.0, ("naive", "Chain(3)"): 2.0, ("block", "Chain(3)"): 2.1, ("naive_tree", "Iid(3, 3)"): 2.1,
    ("traversal", "Iid(3, 3)"): 2.3, ("naive_tree", "Delayed(3, 1, 2)"): 2.1, ("traversal", "Delayed(3, 1, 2)"): 2.5,
}  # fmt: skip
"""Tokens a root; the time is the same for all that draft, so that they are also ranked so by speed."""


def spans(seconds):
    """By both clocks, the wall clock a fifth behind."""
    return {"wall": 1.2 * seconds, "cpu": seconds}


def unit(rng, roots=5, efficiency=EFFICIENCY, noise=0.01):
    """A unit whose tokens and times vary by a fifth together, and by ``noise`` each."""
    token, time = rng.uniform(0.8, 1.2, 2) * roots
    policies = {
        policy: {"nodes": 9 * roots, "draft": spans(0.0 if policy == "Chain(0)" else 0.03 * time),
                 "target": spans(0.06 * time * rng.uniform(1 - noise, 1 + noise))}
        for _, policy in efficiency
    }  # fmt: skip
    cells = {
        f"{verifier} {policy}": {"tokens": roots if mean == 1 else mean * token * rng.uniform(1 - noise, 1 + noise),
                                 "verification": spans(0.01 * time)}
        for (verifier, policy), mean in efficiency.items()
    }  # fmt: skip
    return {"roots": roots, "policies": policies, "cells": cells}


def text_of(temperature, top_p, number, units=2, **changes):
    rng = np.random.default_rng([round(10 * temperature), round(10 * top_p), number])
    units = [unit(rng, **changes) for _ in range(units)]
    return {"temperature": temperature, "top_p": top_p, "text": number, "units": units, "seconds": 2.0}


def made(folder=None, settings=((0.6, 1.0), (1.0, 1.0)), texts=8, done=99, efficiency=EFFICIENCY, **held):
    """A run's file; ``done`` texts are finished."""
    keys = [[*setting, number] for setting in settings for number in range(texts)]
    held = {
        "target": "T", "draft": "D", "vocabulary_size": 49152, "device": "cpu", "dtype": "float32", "packed": True,
        "timing_only": False, "pairs": [list(pair) for pair in efficiency], "cells": keys, "texts": texts, "roots": 10,
        "stride": 3, "seed": 0, "left_out": {"optimal_plan Iid(3, 3)": "for small vocabularies"}, **held,
    }  # fmt: skip
    file = WinsFile.open(folder, "veridraft wins --pack", held, MACHINE)
    for key in keys[:done]:
        file.add(text_of(*key, efficiency=efficiency))
    return file


def told(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())


def rows(rng, means, units=12, common=0.2, noise=0.02):
    """Rows at the same units: tokens and seconds vary by ``common`` together, by ``noise`` each."""
    token, time = rng.uniform(1 - common, 1 + common, (2, units))
    own = rng.uniform(1 - noise, 1 + noise, (2, len(means), units))
    return tuple(
        RootRow(
            f"v{place}",
            "Iid(3, 3)",
            5 * mean * token * one,
            np.full(units, 5.0),
            np.outer([1, 2, 0.3], time * two),
            np.arange(units),
        )
        for place, (mean, one, two) in enumerate(zip(means, own[0], own[1], strict=True))
    )
