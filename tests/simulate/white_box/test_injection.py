"""Injected randomness: every method has NumPy's law, exactly."""

import doctest
import math
from fractions import Fraction

import numpy as np
import pytest
from strategies import P, Q

from veridraft.simulate.white_box import injected_generator, injection, lazy_uniform
from veridraft.simulate.white_box.injected_generator import InjectedGenerator
from veridraft.simulate.white_box.injection import Script
from veridraft.simulate.white_box.lazy_uniform import LazyUniform

F = Fraction


def law_of(function, exact=True):
    """The law of what a function of an injected generator returns."""
    script, law = Script(exact), {}
    rng = InjectedGenerator(script)
    for probability, answer in script.runs(lambda: function(rng)):
        law[answer] = law.get(answer, 0) + probability
    assert sum(law.values()) == 1
    return law


class TestInjectedGenerator:
    """Every method has NumPy's law, exactly."""

    def test_uniforms(self):
        assert law_of(lambda rng: rng.random() < F(1, 3))[True] == F(1, 3)
        assert law_of(lambda rng: rng.uniform(2, 5) < 3)[True] == F(1, 3)
        assert law_of(lambda rng: 1 - rng.random() / 2 >= F(3, 4))[True] == F(1, 2)
        assert law_of(lambda rng: int(3 * rng.random())) == {0: F(1, 3), 1: F(1, 3), 2: F(1, 3)}
        assert law_of(lambda rng: int(4 * rng.random() - 2)) == {-1: F(1, 4), 0: F(1, 2), 1: F(1, 4)}
        assert law_of(lambda rng: math.floor(4 * rng.random() - 2))[-2] == F(1, 4)
        assert law_of(lambda rng: tuple(rng.random((1, 2))[0] < [F(1, 2), F(1, 3)]))[True, True] == F(1, 6)
        assert law_of(lambda rng: tuple(rng.uniform([0, 1], [1, 3]) < 2))[True, True] == F(1, 2)

    def test_a_uniform_remembers_what_was_decided(self):
        def twice(rng):
            u = rng.random()
            return u < F(1, 2), u < F(3, 4), u > F(1, 4), u - u <= 0, u == F(1, 2), u != 0

        law = law_of(twice)
        assert law == {
            (True, True, True, True, False, True): F(1, 4),
            (True, True, False, True, False, True): F(1, 4),
            (False, True, True, True, False, True): F(1, 4),
            (False, False, True, True, False, True): F(1, 4),
        }

    def test_infinities_and_no_number(self):
        for exact in (True, False):
            assert law_of(lambda rng: rng.random() < math.inf, exact) == {True: 1}
            assert law_of(lambda rng: rng.random() >= -math.inf, exact) == {True: 1}
            assert law_of(lambda rng: (rng.random() < math.nan) or (rng.random() >= math.nan), exact) == {False: 1}

    def test_inverse_distribution_functions(self):
        sums, expected = np.cumsum(P), {0: P[0], 1: P[1], 2: P[2]}
        for function in (
            lambda rng: int(np.searchsorted(sums, rng.random())),
            lambda rng: int(np.searchsorted(sums, rng.random(), side="right")),
            lambda rng: int((sums > rng.random()).argmax()),
            lambda rng: int((sums < rng.random()).sum()),
            lambda rng: int(np.sum(rng.random() >= sums)),
        ):
            assert law_of(function) == expected

    def test_categories(self):
        thirds = F(1, 3)
        assert law_of(lambda rng: int(rng.choice(3, p=P))) == {0: P[0], 1: P[1], 2: P[2]}
        assert law_of(lambda rng: str(rng.choice(["a", "b", "c"]))) == {"a": thirds, "b": thirds, "c": thirds}
        pairs = law_of(lambda rng: tuple(rng.choice(3, size=2, replace=False, p=P).tolist()))
        assert pairs[0, 1] == P[0] * P[1] / (1 - P[0]) and (0, 0) not in pairs
        assert law_of(lambda rng: int(rng.multinomial(1, P).argmax())) == {0: P[0], 1: P[1], 2: P[2]}
        assert law_of(lambda rng: tuple(rng.multinomial(2, P).tolist()))[1, 1, 0] == 2 * P[0] * P[1]
        assert law_of(lambda rng: rng.multinomial(1, [P, Q]).shape) == {(2, 3): 1}
        assert law_of(lambda rng: int(rng.integers(1, 3, endpoint=True))) == {1: thirds, 2: thirds, 3: thirds}
        assert law_of(lambda rng: int(rng.binomial(2, F(1, 3)))) == {0: F(4, 9), 1: F(4, 9), 2: F(1, 9)}
        assert set(law_of(lambda rng: tuple(rng.permutation(3).tolist())).values()) == {F(1, 6)}

        def shuffled(rng):
            items = ["a", "b", "c"]
            rng.shuffle(items)
            return "".join(items)

        assert len(law_of(shuffled)) == 6

    def test_probabilities_are_checked_as_numpy_does(self):
        for weights, words in [([F(1, 2)] * 3, "sum to 1"), ([F(3, 2), F(-1, 2), F(0)], "negative")]:
            with pytest.raises(ValueError, match=words):
                law_of(lambda rng, weights=weights: rng.choice(3, p=weights))
        with pytest.raises(ValueError, match="same size"):
            law_of(lambda rng: rng.choice(2, p=P))

    def test_rounding_is_not_followed_in_float_arithmetic(self):
        short = np.cumsum([0.7, 0.1, 0.1, 0.1])
        assert short[-1] < 1
        law = law_of(lambda rng: int(np.searchsorted(short, rng.random(), side="right")), exact=False)
        assert sorted(law) == [0, 1, 2, 3]

    def test_it_passes_for_a_generator_of_numpy(self):
        rng = InjectedGenerator(Script(exact=True))
        assert isinstance(rng, np.random.Generator) and np.random.default_rng(rng) is rng
        assert isinstance(rng.random(), LazyUniform)


@pytest.mark.parametrize("module", [injection, lazy_uniform, injected_generator])
def test_the_examples_in_the_docstrings(module):
    assert doctest.testmod(module).failed == 0
