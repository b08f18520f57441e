"""The measurement of speed: each edit fits, and the loop plays some steps."""
import speed
from player import write_edited


def test_each_edit_fits_and_the_loop_plays_some_steps(tmp_path, monkeypatch):
    for edits in speed.EDITS.values():
        write_edited(tmp_path, edits)
    short = speed.LOOP.replace('n_steps = 500, 2000', 'n_steps = 1, 2')
    assert short != speed.LOOP
    monkeypatch.setattr(speed, 'LOOP', short)
    assert speed.steps_per_second(speed.EDITS['all of these, as in the video']) > 0
