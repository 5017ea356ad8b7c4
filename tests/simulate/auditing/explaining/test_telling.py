"""A telling trial can be run again, from its archive and by the lines that go with it."""

import subprocess
import sys

import numpy as np
import pytest

from veridraft.simulate import audit

ENGINE = """
import numpy as np

def verify(target, draft, tokens, rng):
    return [int(tokens[0])] if rng.random() < 0.9 else [int(rng.choice(len(target[0]), p=target[0]))]

def batched(target, draft, tokens, rng):
    return tokens[:, :1]

def node(target, draft, parents, tokens, rng):
    return [int(tokens[1])]

def with_torch(target, draft, tokens, rng):
    import torch
    return tokens[:1] if torch.rand((), generator=rng) < 0.9 else tokens[1:2]

def generate(rng):
    return [int(rng.random() < 0.9)]

class Coin:
    vocabulary_size = 2
    def target_row(self, context):
        return [0.5, 0.5]
"""
WAYS = {
    "verify": {},
    "batched": {"batched": True},
    "node": {"form": "tree"},
    "with_torch": {"arrays": "torch", "dtype": "float32"},
    "generate": {"form": "generate", "length": 2},
}


@pytest.mark.parametrize("name", WAYS)
def test_the_lines_run_the_trial_again(name, tmp_path):
    if name == "with_torch":
        pytest.importorskip("torch")
    known = {}
    exec(ENGINE, known)
    (tmp_path / "own_engine.py").write_text(ENGINE)
    options = WAYS[name] | ({"target": known["Coin"]()} if name == "generate" else {})
    result = audit(known[name], trials=20_000, **options)
    telling = result.telling
    assert telling is not None and telling.case == result.findings[0].case
    agrees = zip(telling.emitted, telling.pattern, strict=False)
    assert all(token == wanted for token, wanted in agrees)
    telling.save(tmp_path / "trial.npz")
    with np.load(tmp_path / "trial.npz") as kept:
        assert set(telling.names) | {"seed", "request", "emitted"} == set(kept)
        assert tuple(kept["emitted"]) == telling.emitted
    script = telling.script("trial.npz", f"from own_engine import {name}", name)
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    said = run.stdout.replace("tensor", "").replace("(", "").replace(")", "")
    assert str(telling.emitted[0]) in said
    if not options.get("batched"):
        assert said.strip() == str(list(telling.emitted))
    else:
        assert f"# of request {telling.request}: {list(telling.emitted)}" in script


def test_without_a_departure_there_is_no_telling_trial():
    def right(target, draft, tokens, rng):
        return [int(rng.choice(len(target[0]), p=target[0] / target[0].sum()))]

    assert audit(right, trials=500).telling is None
