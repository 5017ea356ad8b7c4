"""What is said while a network is taught: the pieces that are done, also where one call tells of several."""

from veridraft.reports.commands.speed.telling import Told


def test_progress_counts_pieces_and_not_calls(capsys):
    with Told() as told:
        for done in (12, 16, 20):
            told("roots", done, 20, f"text {done}")
        told("steps", 7, 9, "loss 0.5")
        told("steps", 9, 9, "loss 0.4")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" (")[0] for line in lines if line.startswith("roots")][-1] == "roots 20/20"
    assert [line.split(" (")[0] for line in lines if line.startswith("steps")][-1] == "steps 9/9"
