"""``veridraft audit-server`` against a small server in two shapes: right, with planted defects, and failing."""

from __future__ import annotations

import json

import pytest
from small_server import Behaviour, serving

from veridraft.reports.cli import main
from veridraft.simulate.defects import DEFECTS
from veridraft.simulate.defects.correct.token_wise import TokenWise

SHAPES = ("llama.cpp", "openai")
"""The second tells all rows of a text at once, the first one by one: what both show alike is shown on the second."""


@pytest.fixture
def asked(tmp_path, capsys, monkeypatch):
    """Runs the command on an address: its status, its answer and what it said on the error stream."""

    def ask(address, *more):
        monkeypatch.chdir(tmp_path)
        file = tmp_path / "answer.json"
        status = main(["audit-server", address, "--out", str(tmp_path / "run"), "--json", str(file), *more])
        return status, json.loads(file.read_text()) if file.exists() else None, capsys.readouterr()

    return ask


@pytest.mark.parametrize("shape", SHAPES)
def test_a_server_that_is_right_passes_with_its_steps_told(shape, asked):
    with serving(shape, Behaviour(TokenWise())) as address:
        status, answer, said = asked(address, "--requests", "20", "--tokens", "24", "--by-place")
    assert (status, answer["verdict"], answer["tokens"]) == (0, "no defect found", 480)
    assert "by the target's row, bonus tokens" in answer["parts"]["ranks"]
    assert "Found would have been" in said.out


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("behaviour", "settings"),
    [
        (Behaviour(DEFECTS["uniform_always_zero"].broken), ()),
        (Behaviour(TokenWise(), sampled={"temperature": 0.8}), ()),
        (Behaviour(TokenWise(), sampled={"top_p": 0.95}), ()),
        (Behaviour(TokenWise(), sampled={}), ("--temperature", "0.7", "--top-p", "0.9")),
        (Behaviour(DEFECTS["verified_greedily"].broken), ()),
    ],
    ids=["forced acceptance", "temperature", "top-p", "settings ignored", "greedy"],
)
def test_a_planted_defect_is_found_and_asking_stops_there(shape, behaviour, settings, asked):
    behaviour.asked.clear()
    with serving(shape, behaviour) as address:
        status, answer, _ = asked(address, "--requests", "200", "--tokens", "32", *settings)
    assert (status, answer["verdict"]) == (1, "lossy")
    assert answer["found_after"] == answer["tokens"] < 6400
    assert len(behaviour.asked) == answer["requests"]


@pytest.mark.parametrize("shape", SHAPES)
def test_settings_that_are_asked_for_are_no_defect(shape, asked):
    with serving(shape, Behaviour(TokenWise())) as address:
        status, answer, _ = asked(address, "--requests", "30", "--temperature", "0.7", "--top-p", "0.9", "--top-k", "9")
    assert (status, answer["verdict"]) == (0, "no defect found")


@pytest.mark.parametrize("shape", SHAPES)
def test_settings_that_a_batch_mixes_up_are_found_where_requests_run_beside(shape, asked):
    mixed = Behaviour(TokenWise(), together=3, mixed=True)
    with serving(shape, mixed) as address:
        status, answer, _ = asked(address, "--beside", "2", "--requests", "200")
    assert (status, answer["verdict"]) == (1, "lossy")
    assert len(mixed.asked) == 3 * answer["requests"]
    assert len({one["seed"] for one in mixed.asked}) == len(mixed.asked)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_server_that_keeps_its_requests_apart_passes_with_others_beside(shape, asked):
    with serving(shape, Behaviour(TokenWise(), together=3)) as address:
        status, answer, _ = asked(address, "--beside", "2", "--requests", "20")
    assert (status, answer["verdict"], answer["tokens"]) == (0, "no defect found", 640)


def test_a_request_beside_that_fails_is_an_error_and_what_was_judged_is_kept(asked):
    with serving("llama.cpp", Behaviour(TokenWise(), together=2, fail_at=5)) as address:
        status, answer, said = asked(address, "--beside", "1", "--requests", "20")
    assert status == 2 and answer["requests"] == 2
    assert "answers status 404" in said.err and "2 requests are kept" in said.err


def test_a_control_convicts_what_sets_the_two_apart(asked):
    broken = Behaviour(DEFECTS["uniform_always_zero"].broken)
    with serving("openai", broken) as audited, serving("openai", Behaviour()) as control:
        status, answer, _ = asked(audited, "--control", control, "--requests", "150")
    assert (status, answer["verdict"]) == (1, "lossy")
    assert answer["control"]["pairs"] >= answer["control"]["pairs_needed"]


def test_what_the_control_shows_as_well_is_no_defect(asked):
    warm = {"temperature": 0.5}
    with (
        serving("openai", Behaviour(TokenWise(), sampled=warm)) as audited,
        serving("openai", Behaviour(sampled=warm)) as control,
    ):
        status, answer, said = asked(audited, "--control", control, "--requests", "30")
    assert (status, answer["verdict"]) == (0, "no defect found")
    assert answer["log_e"] > 14 and answer["control"]["own_log_e"] > 14
    assert "The control departs from the rows as well" in said.out


def test_a_draft_server_brings_wrong_acceptance_to_light_sooner(asked):
    forced, drafted = Behaviour(DEFECTS["uniform_always_zero"].broken), Behaviour(rows="draft")
    with serving("openai", forced) as address, serving("openai", drafted) as draft:
        status, known, _ = asked(address, "--requests", "60", "--draft", draft)
        untold = asked(address, "--requests", "60", "--out", "untold")[1]
    assert status == 1 and known["found_after"] < untold["tokens"] / 2
    with serving("llama.cpp", Behaviour(TokenWise())) as address, serving("openai", drafted) as draft:
        assert asked(address, "--requests", "20", "--draft", draft, "--out", "right")[0] == 0


def test_a_draft_with_another_tokenizer_is_refused(asked, capsys):
    with (
        serving("llama.cpp", Behaviour(TokenWise())) as audited,
        serving("llama.cpp", Behaviour(words=5)) as draft,
        pytest.raises(SystemExit) as stop,
    ):
        asked(audited, "--draft", draft)
    assert stop.value.code == 2 and "the draft have different tokenizers" in capsys.readouterr().err


def test_a_greedy_server_is_held_against_the_likeliest_tokens(asked):
    with serving("llama.cpp", Behaviour(TokenWise())) as address:
        status, answer, _ = asked(address, "--requests", "5", "--temperature", "0")
        assert (status, answer["greedy"]["clear"]) == (0, 0)


def test_a_greedy_server_that_samples_is_lossy(asked):
    with serving("openai", Behaviour(TokenWise(), sampled={})) as address:
        status, answer, _ = asked(address, "--requests", "2", "--temperature", "0")
        assert status == 1 and answer["greedy"]["clear"] > 0


def test_what_was_answered_before_a_server_died_is_judged_and_gone_on_with(asked, tmp_path):
    behaviour = Behaviour(TokenWise(), fail_at=4)
    with serving("llama.cpp", behaviour) as address:
        status, answer, said = asked(address, "--requests", "8")
        assert (status, answer["requests"]) == (2, 4)
        assert "answers status 404" in said.err and "4 requests are kept" in said.err
        status, answer, _ = asked(address, "--requests", "8")
    assert (status, answer["requests"]) == (0, 8)
    seeds = [request["seed"] for request in behaviour.asked]
    assert sorted(set(seeds)) == [1, 3, 5, 7, 9, 11, 13, 15]
    assert seeds.count(9) == 2


def test_another_model_between_two_runs_is_refused(asked):
    with serving("llama.cpp", Behaviour(TokenWise())) as address:
        asked(address, "--requests", "2")
    with serving("llama.cpp", Behaviour(TokenWise(), model="other")) as address, pytest.raises(SystemExit) as stop:
        asked(address, "--requests", "2")
    assert stop.value.code == 2


def test_a_text_that_is_too_short_is_named(asked):
    with serving("llama.cpp", Behaviour(TokenWise(), short=True)) as address:
        status, _, said = asked(address, "--requests", "20")
    assert status == 2 and "emitted 31 tokens of 32 and did not end the text" in said.err


def test_a_server_that_ignores_seeds_is_noted(asked):
    with serving("llama.cpp", Behaviour(TokenWise(), constant_seed=True)) as address:
        status, answer, said = asked(address, "--requests", "10")
    assert (status, answer["tokens"]) == (0, 8 * 32)
    assert "2 texts came a second time" in said.out


def test_rows_that_do_not_settle_the_settings_are_named(asked):
    with serving("openai", Behaviour(TokenWise())) as address:
        status, _, said = asked(address, "--requests", "2", "--temperature", "0.7", "--row-tokens", "5")
    assert status == 2 and "ask for more tokens in a row" in said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["http://127.0.0.1:9"], "Connection refused. With --wait S"),
        (["127.0.0.1:9"], "must begin with http"),
        (["http://127.0.0.1:9", "--top-p", "0"], "top-p must lie in (0, 1]"),
        (["http://127.0.0.1:9", "--requests", "0"], "requests must be at least 1"),
        (["http://127.0.0.1:9", "--prompts", "/nowhere"], "No such file"),
        (["http://127.0.0.1:9", "--json", "/proc/x/y"], "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(["audit-server", *words])
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_a_stream_that_leaves_tokens_out_is_not_taken_for_the_text(asked):
    """Trap: llama.cpp streams no token that ends inside a letter; what stands behind it has another context then."""
    with serving("llama.cpp", Behaviour(TokenWise(), left_out=5)) as address:
        status, answer, said = asked(address, "--requests", "4", "--by-place")
        assert (status, answer["requests"]) == (2, 0)
        assert "streams 31 of 32 tokens" in said.err and "without their steps alone" in said.err
        status, answer, _ = asked(address, "--requests", "4", "--out", "whole")
        assert (status, answer["tokens"]) == (0, 128)


def test_drafts_are_counted_and_their_absence_is_noted(asked):
    with serving("llama.cpp", Behaviour(TokenWise())) as address:
        notes = asked(address, "--requests", "2")[1]["notes"]
    assert any("The server drafted" in note for note in notes)
    with serving("llama.cpp", Behaviour()) as address:
        notes = asked(address, "--requests", "2", "--out", "plain")[1]["notes"]
    assert any("tells of no drafted token" in note for note in notes)


def test_a_control_with_another_tokenizer_is_refused(asked, capsys):
    with (
        serving("llama.cpp", Behaviour(TokenWise())) as audited,
        serving("llama.cpp", Behaviour(words=5)) as control,
        pytest.raises(SystemExit) as stop,
    ):
        asked(audited, "--control", control)
    assert stop.value.code == 2 and "the control have different tokenizers" in capsys.readouterr().err


def test_a_control_of_another_model_is_spoken_of(asked):
    with (
        serving("llama.cpp", Behaviour(TokenWise())) as audited,
        serving("llama.cpp", Behaviour(model="large")) as control,
    ):
        said = asked(audited, "--control", control, "--requests", "1")[2]
    assert "The control is another model or build: large, b1" in said.err


def test_an_address_may_end_in_v1_and_a_kind_is_checked(asked, capsys):
    with serving("openai", Behaviour(TokenWise())) as address:
        assert asked(address + "/v1/", "--requests", "1")[0] == 0
        with pytest.raises(SystemExit) as stop:
            asked(address, "--requests", "1", "--kind", "llama.cpp")
    assert stop.value.code == 2 and "is no server of the shape llama.cpp" in capsys.readouterr().err


def test_the_command_is_kept_without_what_is_default(asked, tmp_path):
    with serving("llama.cpp", Behaviour(TokenWise())) as address:
        asked(address, "--requests", "1", "--temperature", "1.0")
    kept = json.loads((tmp_path / "run" / "texts.jsonl").read_text().splitlines()[0])["command"]
    assert kept.startswith(f"veridraft audit-server {address} --requests 1 --out ") and "--temperature" not in kept


def test_a_server_that_makes_no_tokens_of_text_can_be_asked_by_ids(asked, tmp_path, capsys):
    """Trap: llama.cpp answers status 500 for letters that a small vocabulary lacks, also when rows are asked for."""
    prompts = tmp_path / "prompts.json"
    prompts.write_text("[[1, 2], [3]]")
    with serving("llama.cpp", Behaviour(TokenWise(), words=None)) as address:
        with pytest.raises(SystemExit) as stop:
            asked(address)
        assert stop.value.code == 2 and "prompt file of token ids needs no tokenizer" in capsys.readouterr().err
        assert asked(address, "--prompts", str(prompts), "--requests", "2")[1]["tokens"] == 64
