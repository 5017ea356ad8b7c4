"""A telling trial can be run again, from its archive and by the lines that go with it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from veridraft.simulate import audit
from veridraft.simulate.auditing.chosen.generator import RecordedGenerator

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
        shown = set() if name in ("batched", "node", "with_torch") else {"uniforms"}
        assert set(telling.names) | {"seed", "request", "emitted"} | shown == set(kept)
        assert tuple(kept["emitted"]) == telling.emitted
    script = telling.script("trial.npz", f"from own_engine import {name}", name)
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    said = run.stdout.replace("tensor", "").replace("(", "").replace(")", "")
    assert str(telling.emitted[0]) in said
    if not options.get("batched"):
        assert said.strip() == str(list(telling.emitted))
    else:
        assert f"# of request {telling.request}: {list(telling.emitted)}" in script


def test_a_trial_holds_the_uniforms_that_were_drawn_and_says_what_it_does_not_hold():
    known = {}
    exec(ENGINE, known)
    telling = audit(known["verify"], trials=20_000).telling
    again = np.random.default_rng(telling.seed).random(len(telling.uniforms))
    assert telling.uniforms and np.array_equal(telling.uniforms, again)
    assert telling.uniforms_text() in ("the uniform it drew", "the 2 uniforms that it drew, in order")
    assert json.loads(json.dumps(telling.to_json()))["uniforms"] == list(telling.uniforms)
    none = audit(known["node"], "tree", trials=2_000).telling
    assert none.uniforms_text() == "no uniforms: it asked the generator that it is given for none"

    def by_noise(target, draft, tokens, rng):
        return [int(np.argmax(draft[0] / rng.exponential(size=len(draft[0]))))]

    noisy = audit(by_noise, trials=5_000).telling
    assert noisy.uniforms == () and noisy.uniforms_text().endswith("what it drew by exponential is not shown")


def test_a_generator_of_torch_shows_no_uniforms():
    pytest.importorskip("torch")
    known = {}
    exec(ENGINE, known)
    telling = audit(known["with_torch"], trials=5_000, arrays="torch").telling
    assert telling.uniforms is None and "a generator of torch does not show" in telling.uniforms_text()


def test_a_recorded_generator_draws_as_the_plain_one_does():
    rng, plain = RecordedGenerator(3), np.random.default_rng(3)
    for draw in (
        lambda one: one.random(), lambda one: one.random((2, 3), dtype=np.float32), lambda one: one.uniform(-1, 4, 5),
        lambda one: one.choice(4, size=7, p=[0.1, 0.2, 0.3, 0.4]), lambda one: one.exponential(size=3),
        lambda one: one.integers(9, size=4), lambda one: one.random(out=np.empty(2)),
    ):  # fmt: skip
        assert np.array_equal(draw(rng), draw(plain))
    assert len(rng.handed) == 1 + 6 + 5 + 7 + 2 and rng.drawn_otherwise == ["exponential", "integers"]


def test_without_a_departure_there_is_no_telling_trial():
    def right(target, draft, tokens, rng):
        return [int(rng.choice(len(target[0]), p=target[0] / target[0].sum()))]

    assert audit(right, trials=500).telling is None
