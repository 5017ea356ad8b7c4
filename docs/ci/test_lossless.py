"""Whether the engine keeps the target's law; at night --audit-trials stands above the number here."""

from engine import verify


def test_verify_is_lossless(assert_lossless):
    """Fails with a counterexample if it is lossy."""
    assert_lossless(verify, form="chain", trials=2_000)
