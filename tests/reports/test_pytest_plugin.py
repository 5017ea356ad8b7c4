"""The pytest plugin, in runs of pytest of its own."""

import subprocess
import sys
from importlib import metadata

import pytest

import veridraft.simulate  # noqa: F401 - so that runs of pytest in this process do not load NumPy anew

pytest_plugins = ["pytester"]

VERIFIERS = """
    import numpy as np

    def pick(row, uniform):
        return int(min(np.searchsorted(np.cumsum(row), uniform, side="right"), np.flatnonzero(row)[-1]))

    def right(target, draft, tokens, rng):
        return [pick(target[0], rng.random())]

    def wrong(target, draft, tokens, rng):
        return [int(tokens[0])]
"""


@pytest.fixture
def engine(pytester):
    pytester.makepyfile(engine=VERIFIERS)
    return pytester


def test_the_plugin_is_an_entry_point():
    points = metadata.entry_points(group="pytest11", name="veridraft")
    assert {point.value for point in points} == {"veridraft.reports.pytest_plugin"}


def test_a_run_that_does_not_use_it_imports_next_to_nothing(tmp_path):
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n"
        "def test_nothing():\n"
        "    heavy = {'numpy', 'scipy', 'veridraft.theory', 'veridraft.simulate', 'veridraft.reports.cli'}\n"
        "    assert 'veridraft.reports.pytest_plugin' in sys.modules\n"
        "    assert not heavy & set(sys.modules)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:hypothesispytest", "-p", "no:cacheprovider", "."]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout


def test_a_failure_shows_the_counterexample_and_no_line_of_ours(engine):
    engine.makepyfile(test_it="""
        import engine

        def test_wrong(assert_lossless):
            assert_lossless(engine.wrong, trials=2000)
    """)
    run = engine.runpytest_inprocess("-p", "no:randomly")
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines([
        ">*assert_lossless(engine.wrong, trials=2000)",
        "E *AssertionError: LOSSY: engine.wrong, form chain",
        "E*string *",
        "E*expected *",
        "E*observed *",
        "FAILED test_it.py::test_wrong - AssertionError: LOSSY: engine.wrong*",
    ])
    run.stdout.no_fnmatch_line("*assertion.py*")
    run.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_a_pass_gives_the_audit_and_the_command_line_stands_above_the_test(engine):
    engine.makepyfile("""
        import engine

        def test_right(assert_lossless):
            audit = assert_lossless(engine.right, form="chain", trials=100_000, chosen_uniforms=False)
            assert 500 < audit.trials <= 1000
            assert (audit.seed, audit.level) == (7, 1e-3)
            assert repr(assert_lossless) == "<assert_lossless --audit-trials 1000 --audit-level 0.001 --audit-seed 7>"
    """)
    run = engine.runpytest_inprocess("--audit-trials", "1000", "--audit-level", "1e-3", "--audit-seed", "7")
    run.assert_outcomes(passed=1)


def test_what_shows_nothing_fails_too(engine):
    engine.makepyfile("""
        import engine
        from veridraft.simulate import assert_lossless as plain

        def test_undecided(assert_lossless):
            assert_lossless(engine.right, seconds=0.001)

        def test_error(assert_lossless):
            assert_lossless(lambda: None, trials=100)

        def test_the_plain_function():
            plain(engine.wrong, trials=2000)
    """)
    run = engine.runpytest_inprocess()
    run.assert_outcomes(failed=3)
    run.stdout.fnmatch_lines([
        "E *AssertionError: UNDECIDED: engine.right, form chain",
        "E*nothing was found, and nothing is said*",
        "E *AssertionError: ERROR: *lambda*",
        "E*it raised an exception, in case random: TypeError*",
        "E *AssertionError: LOSSY: engine.wrong, form chain",
    ])


def test_the_fixture_has_the_scope_of_the_session(engine):
    engine.makepyfile("""
        import engine, pytest

        @pytest.fixture(scope="module")
        def audited(assert_lossless):
            return assert_lossless(engine.right, trials=500, chosen_uniforms=False)

        def test_audited(audited):
            assert audited.exit_status == 0
    """)
    engine.runpytest_inprocess().assert_outcomes(passed=1)


def test_workers_of_xdist_have_the_options(engine):
    pytest.importorskip("xdist")
    engine.makepyfile("""
        import engine

        def test_one(assert_lossless):
            assert assert_lossless(engine.right, chosen_uniforms=False).trials <= 700

        def test_two(assert_lossless):
            assert_lossless(engine.wrong)
    """)
    run = engine.runpytest_subprocess("-n", "1", "--audit-trials", "700")
    run.assert_outcomes(passed=1, failed=1)
    run.stdout.fnmatch_lines(["E *AssertionError: LOSSY: engine.wrong, form chain"])


def test_help_lists_the_options(engine):
    run = engine.runpytest_inprocess("--help")
    assert run.ret == 0
    run.stdout.fnmatch_lines(["veridraft: audits*", "*--audit-trials=*", "*--audit-level=*", "*--audit-seed=*"])
