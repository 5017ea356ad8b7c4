"""Verifiers of one call one request, and what makes their audits quick."""

import numpy as np
from draws import pick

from veridraft.simulate import Form, default_cases

QUICK = {"trials": 600, "call_seconds": 0.1, "chosen_uniforms": False, "cases": default_cases(Form.CHAIN)[:2]}


def naive(target, draft, tokens, rng):
    """Speculative sampling, one call one request: lossless."""
    emitted = []
    for level, token in enumerate(tokens):
        if rng.random() * draft[level, token] < target[level, token]:
            emitted.append(int(token))
            continue
        rest = np.maximum(target[level] - draft[level], 0)
        return [*emitted, pick(rest / rest.sum(), rng.random())]
    return [*emitted, pick(target[-1], rng.random())]


def from_target(target, draft, tokens, rng):
    """One draw of the target: lossless, and the shortest."""
    return [pick(target[0], rng.random())]
