"""The study's edits still fit the scripts, and its figures are those it names."""
import gymnasium as gym
import numpy as np
import pytest

import speed
import study


@pytest.mark.parametrize('name', [*study.VARIANTS, *study.TRIAL])
def test_edits_fit_and_leave_python(name, tmp_path):
    edits = [*study.games(2, 1, "gym.make('CartPole-v1')"), study.GREEDY,
             *{**study.VARIANTS, **study.TRIAL}[name][-1]]
    study.edited(tmp_path, edits)
    changed = {path for path in tmp_path.iterdir()
               if path.read_bytes() != (study.ROOT / path.name).read_bytes()}
    assert {path.name for path in changed} == {script for script, _, _ in edits}
    for path in changed:
        compile(path.read_text(encoding='utf-8'), path.name, 'exec')


def test_each_rung_of_the_ladder_has_one_line_more(tmp_path):
    lines = ['with T.no_grad():  # the video', 'observation_, terminated)',
             'F.layer_norm(self.fc1', ' * remaining']
    for n, name in enumerate(study.LADDER):
        study.edited(tmp_path, study.VARIANTS[name][-1])
        code = ''.join(path.read_text('utf-8') for path in tmp_path.iterdir())
        assert [line in code for line in lines] == [True] * n + [False] * (4 - n)


@pytest.mark.parametrize('name', speed.EDITS)
def test_edits_of_the_measurement_of_speed_fit(name, tmp_path):
    study.edited(tmp_path, speed.EDITS[name])


@pytest.mark.parametrize('edit, said', [
    ((study.MAIN, 'no such line', ''), 'no such line.* 0 times, not once'),
    ((study.MAIN, 'score', ''), 'score.* main_lunar_lander.py [1-9][0-9]* times'),
    (study.number('no_such_name', 1), 'no_such_name.* 0 times, not once')])
def test_edit_that_does_not_fit_just_once_is_named(edit, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        study.edited(tmp_path, [edit])


@pytest.mark.parametrize('old', ['lr=0.0002', 'lr = 2e-4', 'lr=100_000', 'lr=10 ** 5'])
@pytest.mark.parametrize('after', [',  # why', ')', '  # why', ''])
def test_number_is_replaced_whole_however_it_is_written(old, after):
    _, pattern, new = study.number('lr', 7)
    assert pattern.sub(new, f'{old}{after}\n') == f'lr=7{after}\n'


def test_row_of_two_made_up_runs():
    early, late = np.zeros(500), np.full(500, 199.0)
    early[50:] = 300  # two thirds of a window of 300 are an average of 200
    early[300:350] = 0  # halves a window for a while
    final = np.repeat([100.0, 300.0], [25, 75])
    both = [(early, final, 1000), (late, final - 1, 3000)]
    for runs, threshold, beside, wanted in [
            (both, 200, (), '1/2 | never | 250 (199), 1 below | 250 (249) | '),
            ([(early[:400], final - 51, 1000)], 200, both[:1],
             '1/1 | 117 (117) | 150 (150), 1 below | 199 (199), 1 below | '
             '1.000, 1.000, 1.000'),
            ([(late, final + k, 1) for k in (1, 2, 3)], 200, [(late, final, 1)] * 3,
             '0/3 | never | 199 (199), 3 below | 252 (251) | 1.000, 1.000, 0.250'),
            ([(late, final, 1)] * 2 + [(late - 1, final, 1)], 199, (),
             '2/3 | 100 (never) | 199 (198), 1 below | 250 (250) | '),
            ([(early / 1000, final / 1000, 1)], 0.7, (),
             '0/1 | never | 0.30 (0.30), 1 below | 0.25 (0.25), 1 below | '),
            (both, None, both, ' |  | 250 (199) | 250 (249) | 1.000, 1.000')]:
        assert study.row('a', runs, threshold, beside) == f'| a | {wanted} |'
    for game, threshold in study.SOLVED.items():
        assert gym.spec(game).reward_threshold in (threshold, None)


def test_average_that_just_reaches_the_threshold_solves():
    assert study.solved_at(np.repeat([-99.0, -101.0], [50, 450]), -100) == 100


def test_failures_of_made_up_runs():
    good, poor = np.full(100, 300.0), np.full(100, 100.0)
    games = np.repeat([0.0, 300.0, 0.0], [100, 200, 200])  # solved, and then forgotten
    for run, n in [((np.full(500, 300.0), good, 1), 0), ((games, good, 1), 1),
                   ((games, poor, 1), 2), ((np.zeros(500), poor, 1), 3)]:
        assert study.failures([run], 200) == n
        assert study.failures([run, run], 200) == 2 * n


def test_the_trial_chooses_by_its_rule():
    def setting(n_bad, start):
        """Ten runs, n_bad of them with three failures; the others learn at start."""
        good = np.where(np.arange(500) < start, -600.0, 600.0)
        bad = np.full(500, -600.0)
        return [(run, run[-100:], 1) for run in [bad] * n_bad + [good] * (10 - n_bad)]

    for settings, chosen in [([(2, 9), (1, 99), (3, 9)], 'trial-0.0002'),
                             ([(2, 9), (0, 99), (3, 9)], 'trial-0.0005-square'),
                             ([(0, 99), (0, 99), (0, 9)], 'trial-0.001-square')]:
        there = {}
        for name, (n_bad, start) in zip(study.TRIAL, settings):
            for game in study.FOUR:
                n = n_bad if game == study.POLE else 0
                for seed, run in enumerate(setting(n, start)):
                    there[name, game, seed] = run
        assert study.trial(there)[1] == chosen
        del there[name, study.CAR, 7]
        assert study.trial(there)[1] is None


def test_page_is_the_one_that_the_tool_writes():
    assert study.PAGE.read_text('utf-8') == study.page(study.finished())


def test_sign_flips_by_hand():
    # 1 + 2 + 3 is reached with two of eight choices of signs, |-3 + 1 + 1| with all.
    assert study.p_value([1, 2, 3], [0, 0, 0]) == 2 / 8
    assert study.p_value([2, 1, 1], [5, 0, 0]) == 8 / 8
