"""The study's edits still fit the scripts, and its figures are those it names."""
from concurrent.futures import ThreadPoolExecutor

import gymnasium as gym
import numpy as np
import pytest

import study


@pytest.mark.parametrize('name', study.VARIANTS)
def test_edits_fit_and_leave_python(name, tmp_path):
    _, edits, _ = study.VARIANTS[name]
    study.edited(tmp_path, [study.GREEDY, *edits])
    changed = [path.name for path in tmp_path.iterdir()
               if path.read_bytes() != (study.ROOT / path.name).read_bytes()]
    for script in changed:
        compile((tmp_path / script).read_text(encoding='utf-8'), script, 'exec')
    assert set(changed) == {study.MAIN, *(script for script, _, _ in edits)}


def test_edit_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match='n_games = 501'):
        study.edited(tmp_path, [(study.MAIN, 'n_games = 501', '')])
    assert list(tmp_path.iterdir()) == []


def test_runs_that_finish_at_once_are_all_kept_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(study, 'RUNS', tmp_path / 'runs.txt')
    scores = np.arange(500) - 250
    with ThreadPoolExecutor(8) as pool:
        for seed in range(40):
            pool.submit(study.keep, 'made-up', seed, scores + seed, scores[:100], seed)
    runs = study.load('made-up', range(30, 50))
    assert list(runs) == list(range(30, 40))
    for seed, (training, greedy, steps) in runs.items():
        assert steps == seed
        np.testing.assert_array_equal(training, scores + seed)
        np.testing.assert_array_equal(greedy, scores[:100])


def test_row_of_two_made_up_runs():
    early, late = np.zeros(500), np.zeros(500)
    early[50:] = 300  # two thirds of a window of 300 are an average of 200
    early[300:350] = 0  # halves a window for a while
    late[:] = 199
    greedy = np.repeat([100.0, 300.0], [25, 75])
    row = study.row('both', [(early, greedy, 1000), (late, greedy - 1, 3000)])
    assert row == '| both | 1/2 | never / never | 250 / 199 | 250 / 249 |'
    row = study.row('one', [(early[:400], greedy, 1000)])
    assert row == '| one | 1/1 | 117 / 117 | 150 / 150 | 250 / 250 |'
    assert '| 0/1 | never / never |' in study.row('other', [(late, greedy, 1)])
    assert '| 1/1 | 100 / 100 |' in study.row('other', [(late, greedy, 1)], 199)


@pytest.mark.parametrize('name', study.OTHER_GAMES)
def test_other_games_are_solved_where_gymnasium_says(name):
    assert study.OTHER_GAMES[name] == gym.spec(name).reward_threshold
