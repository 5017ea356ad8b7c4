"""Verifiers of one's own, by module:object or file.py:object, wherever names of the table are taken."""

from __future__ import annotations

import json

import pytest

from veridraft.reports import cli
from veridraft.theory.verifiers.table import OWN

RULES = '''
from veridraft.theory.policies import DraftLaw
from veridraft.theory.solvers import reject_in_order
from veridraft.theory.solvers.sequential import nss
from veridraft.theory.verifiers import Verifier, top_down


def last(target, draft, tokens, weight=1):
    """Tests the last draw alone: lossless."""
    return reject_in_order(target, draft, tokens, tokens[-1:], weight)


def swapped(target, draft, tokens, weight=1):
    """Takes the draft for the target: lossy."""
    return nss(draft, target, tokens, weight)


def entry(name, solver):
    return Verifier(name, name, "a test", top_down(solver), frozenset({DraftLaw.IID}))


right = entry("last", last)


def wrong():
    return entry("swapped", swapped)


number = 3


def needs(argument):
    return argument
'''


@pytest.fixture
def rules(tmp_path, monkeypatch):
    """A file of rules, in the current folder."""
    (tmp_path / "own_rules.py").write_text(RULES)
    monkeypatch.chdir(tmp_path)
    yield "own_rules.py"
    OWN.clear()


@pytest.mark.parametrize(("name", "status"), [("right", 0), ("wrong", 1)])
def test_certify_takes_an_own_verifier(rules, name, status, capsys):
    words = ["certify", "--pairs", "8", "--most-trees", "30", "--verifiers", f"{rules}:{name},nss"]
    assert cli.main(words) == status
    printed = capsys.readouterr().out
    assert f"{rules}:{name}" in printed
    assert (f"LOSSY: {rules}:{name} with" in printed) is (status == 1)


def test_a_run_goes_on_with_the_same_file_only(rules, tmp_path, capsys):
    words = ["certify", "--pairs", "2", "--most-trees", "30", "--verifiers", f"{rules}:right"]
    assert cli.main(words) == 0
    assert cli.main(words) == 0
    (tmp_path / rules).write_text(RULES + "\n# another one\n")
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    assert "whose own is" in capsys.readouterr().err


def test_what_if_takes_an_own_verifier(rules, tmp_path, capsys):
    words = ["what-if", "--gpu", "H100", "--policies", "Iid(2, 1)", "--trees", "8", "--json", "-"]
    assert cli.main([*words, "--verifiers", f"{rules}:right,nss"]) == 0
    found = {one["verifier"]: one["block_efficiency"] for one in json.loads(capsys.readouterr().out)["answers"]}
    assert found[f"{rules}:right"] > found["nss"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_rules:rigth", "verifier: own_rules has no 'rigth'; did you mean right?"),
        ("own_rules:number", "verifier 'own_rules:number' is of type int; asked for is a veridraft.theory.verifiers"),
        ("own_rules:swapped", "verifier 'own_rules:swapped' must be called without arguments, but: swapped() missing"),
        ("own_rules:needs", "must be called without arguments"),
        ("own_rule:right", "cannot import own_rule: ModuleNotFoundError"),
        ("no_file.py:right", "cannot import no_file.py: FileNotFoundError"),
        (":right", "verifier must be package.module:name or file.py:name"),
        ("blok", "; did you mean block?"),
    ],
)
@pytest.mark.parametrize("command", ["certify", "what-if --gpu H100", "study run gaps"])
def test_what_is_no_verifier_is_said_in_one_sentence(rules, name, message, command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*command.split(), "--verifiers", name])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
