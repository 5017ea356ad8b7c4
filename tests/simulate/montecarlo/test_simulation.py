"""The runner: counts, seeds, intervals, progress, interruption."""

import io

import numpy as np
import pytest
from scipy import stats

from veridraft.simulate import Outcome, SimulationInterrupted, progress_bar, simulate
from veridraft.simulate.batches import row_tables as tables
from veridraft.simulate.batches.intervals import bernstein_half_width
from veridraft.theory import VERIFIERS, Chain, Delayed, Iid, MarkovPair, TablePair, block_efficiency, dirichlet_pair

PAIR = dirichlet_pair(3, seed=1, closeness=0.2)


POLICY = Iid(2, 2)


def run(trials=1000, seed=4, verifier="specinfer", policy=POLICY, **options):
    return simulate(verifier, policy, PAIR, trials, seed, **options)


def same(first, second):
    strings = np.array_equal(first.string_counts, second.string_counts)
    return strings and np.array_equal(first.depth_counts, second.depth_counts)


def test_counts_add_up():
    result = run()
    assert result.trials == result.string_counts.sum() == result.depth_counts.sum() == 1000
    assert result.string_counts.shape == (27,)
    assert result.by_depth.sum() == pytest.approx(1)
    assert result.block_efficiency == pytest.approx(result.by_depth @ [1, 2, 3])
    assert sum(result.frequency((a, b, c)) for a in range(3) for b in range(3) for c in range(3)) == pytest.approx(1)


def test_variance_is_that_of_the_values():
    result = run()
    values = np.repeat([0, 1, 2], result.depth_counts)
    assert result.mean_acceptance_length == pytest.approx(values.mean())
    assert result.variance == pytest.approx(values.var(ddof=1))
    assert result.standard_error == pytest.approx(stats.sem(values))


def test_same_seed_same_counts_and_another_seed_others():
    assert same(run(seed=4), run(seed=4))
    assert not same(run(seed=4), run(seed=5))


def test_an_entry_of_the_table_is_the_same_as_its_name():
    assert same(run(verifier="traversal"), run(verifier=VERIFIERS["traversal"]))


def test_first_chunks_are_those_of_a_shorter_run():
    whole, short = run(250, chunk=100), run(200, chunk=100)
    rest = whole.string_counts - short.string_counts
    assert rest.min() >= 0
    assert rest.sum() == 50


def test_every_chunk_has_coins_of_its_own():
    first, both = run(500, chunk=500), run(1000, chunk=500)
    assert not np.array_equal(both.string_counts - first.string_counts, first.string_counts)


class StopAfter:
    """A progress function that interrupts, as Ctrl-C would, after some chunks."""

    def __init__(self, chunks):
        self.left = chunks
        self.seen = []

    def __call__(self, done, asked):
        self.seen.append((done, asked))
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_progress_is_told_after_each_chunk():
    progress = StopAfter(-1)
    run(250, chunk=100, progress=progress)
    assert progress.seen == [(100, 250), (200, 250), (250, 250)]


def test_an_interrupt_keeps_the_finished_chunks():
    with pytest.raises(SimulationInterrupted, match="interrupted after 200 trials") as caught:
        run(1000, chunk=100, progress=StopAfter(2))
    assert same(caught.value.partial, run(200, chunk=100))
    assert isinstance(caught.value, KeyboardInterrupt)


def test_an_interrupt_before_the_first_chunk_has_nothing_to_keep():
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with pytest.raises(SimulationInterrupted, match="after 0 trials") as caught:
        run(verifier=interrupted)
    assert caught.value.partial is None


def test_progress_bar_ends_its_line_when_all_is_done():
    stream = io.StringIO()
    run(200, chunk=100, progress=progress_bar(stream, width=10))
    half, whole = stream.getvalue().split("\r")[1:]
    assert half == "[#####.....] 100 of 200 trials"
    assert whole == "[##########] 200 of 200 trials\n"


def test_interval_covers_the_exact_value():
    """Level 1 - 1e-6 at each of three sizes: a false alarm in 3e5 runs of this test, at the most."""
    exact = block_efficiency("specinfer", Iid(2, 2), PAIR).value - 1
    for trials in (100, 1_000, 50_000):
        low, high = run(trials, seed=6).confidence_interval(1 - 1e-6)
        assert low <= exact <= high
    assert high - low < 0.1


def test_interval_follows_its_formula_and_stays_in_range():
    result = run()
    low, high = result.confidence_interval(0.9)
    logarithm = np.log(40)
    half = np.sqrt(2 * result.variance * logarithm / 1000) + 7 * 2 * logarithm / (3 * 999)
    assert (high - low) / 2 == pytest.approx(half)
    assert bernstein_half_width(result.variance, 1000, 2, 0.9) == pytest.approx(half)
    assert run(3).confidence_interval(0.95) == (0, 2)


def test_fractions_are_simulated_as_floats():
    exact = PAIR.rationalised(100)
    assert same(simulate("block", Chain(2), exact, 500), simulate("block", Chain(2), exact.as_float(), 500))


def test_a_root_context_is_put_before_every_context():
    matrix = np.array([[0.0, 1.0], [1.0, 0.0]])
    result = simulate("naive", Chain(1), MarkovPair(matrix, matrix, ([1, 0], [1, 0])), 10, context=(0,))
    assert result.frequency((1, 0)) == 1


def test_contexts_that_no_model_reaches_need_no_row():
    rows = {(): [1.0, 0.0], (0,): [0.0, 1.0]}
    result = simulate("nss", Iid(2, 1), TablePair(rows, rows), 10)
    assert result.frequency((0, 1)) == 1


def test_string_probabilities_are_products_of_rows():
    law = tables.tabulate(PAIR, 2).string_probabilities().reshape(3, 3, 3)
    wanted = PAIR.target_row(())[2] * PAIR.target_row((2,))[0] * PAIR.target_row((2, 0))[1]
    assert law[2, 0, 1] == pytest.approx(wanted)
    assert law.sum() == pytest.approx(1)


def test_trunk_is_one_draw():
    batch = tables.draw_batch(tables.tabulate(PAIR, 3), Delayed(3, 2, 1), 200, np.random.default_rng(7))
    assert (batch.paths[:, :, :2] == batch.paths[:, :1, :2]).all()
    assert (batch.paths[:, 0, 2] != batch.paths[:, 1, 2]).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"verifier": "medusa"}, "unknown verifier 'medusa'; known are naive, nss"),
        ({"verifier": "block"}, "not known to be lossless"),
        ({"trials": 0}, "trials must be at least 1, but is 0"),
        ({"seed": -1}, "seed must be at least 0, but is -1"),
        ({"chunk": 0}, "chunk must be at least 1, but is 0"),
        ({"policy": Iid(1, 13)}, "more than the 1000000 that are counted"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        run(**arguments)


def test_a_verifier_of_another_type_is_refused():
    with pytest.raises(TypeError, match="verifier must be a name"):
        run(verifier=3)
    with pytest.raises(TypeError, match="trials must be an integer"):
        run(trials=1e6)


@pytest.mark.parametrize(
    ("accepted", "token", "message"),
    [
        (3, 0, r"accepted row 0 is 3; it must lie in \[0, 2\]"),
        (-1, 0, r"accepted row 0 is -1; it must lie in \[0, 2\]"),
        (1, 3, r"tokens row 0 is \[3, 3, 3\]; the first 2 must lie in \[0, 3\)"),
        (1, -1, r"tokens row 0 is \[-1, -1, -1\]; the first 2 must lie in \[0, 3\)"),
    ],
)
def test_an_outcome_that_is_none_is_named(accepted, token, message):
    def wrong(target, draft, paths, rng, trunk=0):
        return Outcome(np.full(len(paths), accepted), np.full((len(paths), 3), token))

    with pytest.raises(ValueError, match=message):
        run(verifier=wrong)


def test_an_outcome_of_another_shape_is_named():
    def wrong(target, draft, paths, rng, trunk=0):
        return Outcome(np.zeros(len(paths), dtype=int), np.zeros((len(paths), 2), dtype=int))

    with pytest.raises(ValueError, match=r"must be \(1000,\) and \(1000, 3\), but are \(1000,\) and \(1000, 2\)"):
        run(verifier=wrong)


def test_a_policy_that_draws_no_paths_is_refused():
    with pytest.raises(TypeError, match="policy must be Chain, Iid or Delayed, drawn as paths"):
        tables.check_policy("Iid(2, 2)")


def test_bad_questions_to_a_result_are_named():
    result = run()
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\), but is 95"):
        result.confidence_interval(95)
    with pytest.raises(ValueError, match="string must be 3 tokens"):
        result.frequency((0, 1))
    with pytest.raises(ValueError, match="string must be 3 tokens"):
        result.frequency((0, 1, 3))
    with pytest.raises(ValueError, match="at least 2 trials"):
        run(1).confidence_interval()


def test_a_bad_row_of_a_pair_is_named():
    class Broken(type(PAIR)):
        def target_row(self, context):
            return np.array([0.5, 0.4, 0.0]) if context == (1,) else super().target_row(context)

    broken = Broken(3, lambda rng, depth: (np.full(3, 1 / 3), np.full(3, 1 / 3)))
    with pytest.raises(ValueError, match=r"target row 1 sums to 0.9, not 1"):
        simulate("naive", Chain(1), broken, 10)
