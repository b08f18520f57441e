"""The measurement of speed: what it runs, how it divides, and what is said of it."""
import re
import runpy
import time

import numpy as np
import pytest

import player
import results
import simple_dqn_torch
import speed
from test_player import look_at

LINES = results.SPEED.read_text(encoding='utf-8').splitlines()
MEDIANS = {name: float(median) for median, _, _, name in (
    line.split(maxsplit=3) for line in LINES)}


@pytest.mark.parametrize('name, said', [
    ('Adam without fused=True', 'without it a step takes {} times as long'),
    ('np.random.choice', 'with 90,000 stored, a step takes {} times as long'),
    ('all of these, as in the video', 'a step takes [{} times](tests/study/')])
def test_figures_of_the_first_page_are_those_of_the_file(name, said):
    words = ' '.join((player.ROOT / 'README.md').read_text(encoding='utf-8').split())
    assert said.format(f'{MEDIANS[name]:.1f}') in words
    page = results.TEXT.read_text(encoding='utf-8')
    on_cuda, = re.findall(r'a step took ([\d.]+) times', page)
    assert f'step took {float(on_cuda):.1f} times as long on one H200' in words


def test_ratio_is_that_of_the_time_and_above_1_for_a_slower_edit(monkeypatch):
    n_measured = iter(range(9 * 7))

    def steps_per_second(edits):  # with edits, 1, 4, ... 81 times as slow
        n_round = next(n_measured) // 7
        return 100 / (n_round + 1) ** 2 if edits else 100

    monkeypatch.setattr(speed, 'steps_per_second', steps_per_second)
    first, *others = speed.measure()
    assert first == '1.00 1.00 1.00 this project' == LINES[0]
    assert others == [f'25.00 1.00 81.00 {name}' for name in list(MEDIANS)[1:]]


def test_speed_is_that_of_the_edited_copy(monkeypatch):
    loop = "print(open('simple_dqn_torch.py').read().count('fused=True)') + 0.5)"
    monkeypatch.setattr(speed, 'LOOP', loop)
    assert speed.steps_per_second([]) == 1.5
    assert speed.steps_per_second(speed.SEPARATE) == 0.5


def test_loop_times_2000_steps_of_playing_and_learning_at_epsilon_001(
        monkeypatch, capsys):
    epsilons, stored = [], []

    class Agent(simple_dqn_torch.Agent):
        def choose_action(self, observation):
            epsilons.append(self.epsilon)
            return super().choose_action(observation)

        def learn(self):
            stored.append(self.mem_cntr)

    monkeypatch.setattr(simple_dqn_torch, 'Agent', Agent)
    with monkeypatch.context() as patch:  # learning takes a quarter of a second
        patch.setattr(time, 'perf_counter', lambda: len(stored) / 4)
        exec(speed.LOOP, {})
    assert float(capsys.readouterr().out) == 4
    assert stored == [*range(90001, 92501)] and epsilons == [0.01] * 2500


# Whether Adam is fused, np.random.choice draws the batch, and NaN is refused; and what
# look_at sees.
PROJECT = dict(fused=True, shuffled=False, checked=True, norms=[(True, True)],
               gradient=False, ages=[0] * 8, greedy=True)
EXPECTED = {
    'this project': PROJECT,
    'Adam without fused=True': {**PROJECT, 'fused': False},
    'np.random.choice': {**PROJECT, 'shuffled': True},
    'target with its gradient': {**PROJECT, 'gradient': True},
    'no layer normalisation': {**PROJECT, 'norms': [(False, False)]},
    'all of these, as in the video': {
        **PROJECT, 'fused': False, 'shuffled': True, 'gradient': True,
        'norms': [(False, False)]},
    'no check of transitions': {**PROJECT, 'checked': False},
}


@pytest.mark.parametrize('name', speed.EDITS)
def test_each_edit_is_what_its_name_says_and_nothing_else(name, tmp_path, monkeypatch):
    calls, choice = [], np.random.choice
    monkeypatch.setattr(np.random, 'choice', lambda *args, **kwargs: (
        calls.append(args), choice(*args, **kwargs))[1])
    player.edited(tmp_path, speed.EDITS[name])
    make_agent = runpy.run_path(str(tmp_path / player.AGENT))['Agent']
    seen = look_at(make_agent)
    agent = make_agent(0.99, 1.0, 0.001, (3,), 64, 3, eps_end=0.01)
    try:
        agent.store_transition(np.full(3, np.nan), 0, 0, np.zeros(3), False)
        checked = False
    except ValueError:
        checked = True
    fused = bool(agent.Q_eval.optimizer.defaults['fused'])  # None: not asked for
    assert EXPECTED[name] == {
        **seen, 'shuffled': calls != [], 'checked': checked, 'fused': fused}
