"""The plot by its artists, the recording by its pictures, the files by their names."""
import copy
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch as T
from matplotlib.axes import Axes
from PIL import Image

from conftest import Doubled, Homemade, drawn, press_ctrl_c
from simple_dqn_torch import Agent
from utils import (compare_runs, new_folder, plot_learning_curve, record_game,
                   save_network, solved_score, until_ctrl_c)


def make_agent(env):
    """A fresh agent for env that plays without random actions."""
    return Agent(gamma=0.99, epsilon=0.0, lr=1e-3, batch_size=64, eps_end=0.0, seed=3,
                 input_dims=env.observation_space.shape, n_actions=env.action_space.n)


@pytest.mark.parametrize('make, threshold', [
    (lambda: gym.make('LunarLander-v3'), 200),
    (lambda: gym.wrappers.FlattenObservation(gym.make('FrozenLake-v1')), 0.7),
    (lambda: gym.wrappers.TransformReward(gym.make('LunarLander-v3'), abs), None),
    (lambda: Doubled(gym.make('LunarLander-v3')), None),
    (lambda: gym.wrappers.NormalizeReward(gym.make('LunarLander-v3')), None),
    (lambda: gym.wrappers.RecordEpisodeStatistics(gym.make('Acrobot-v1')), -100),
    (lambda: gym.make('Homemade-v0'), None),  # names no score
    (Homemade, None)])  # not made by gymnasium
def test_score_that_solves_a_game_is_known_unless_rewards_are_changed(make, threshold):
    assert solved_score(make()) == threshold


@pytest.mark.parametrize('n, game, title, solved', [
    (250, 'Acrobot-v1', 'Acrobot', ['solved: -100']),
    (5, 'Homemade-v0', 'Homemade', []), (1, None, '', [])])
def test_plot_shows_both_series(n, game, title, solved, tmp_path, monkeypatch):
    # As before matplotlib 3.11, it takes no argument.
    monkeypatch.setattr(Axes, 'twinx', lambda ax, twinx=Axes.twinx: twinx(ax))
    x, file = list(range(1, n + 1)), tmp_path / 'curve.png'
    scores, epsilons = list(np.random.default_rng(0).normal(size=n)), [0.5] * n
    env = [gym.make(game)] if game else []  # the video gives none
    with drawn() as figures:
        plot_learning_curve(x, scores, epsilons, file, *env)
    left, right = figures[0].axes
    assert left.get_title() == title and left.get_xlabel() == 'Game'
    assert (left.get_ylabel(), right.get_ylabel()) == ('Epsilon', 'Score')
    assert all(tick == int(tick) for tick in left.get_xticks())
    sums = np.cumsum(scores)
    averages = sums / np.arange(1, n + 1)
    averages[100:] = (sums[100:] - sums[:-100]) / 100
    lines = {line.get_label(): line for ax in (left, right) for line in ax.lines}
    for ax, label, values in ((left, 'epsilon', epsilons), (right, 'score', scores),
                              (right, 'average of the last 100', averages)):
        assert lines[label].axes is ax
        np.testing.assert_allclose(lines[label].get_xydata().T, [x, values])
    assert lines['score'].get_linestyle() == 'None' and lines['score'].get_alpha() < 1
    assert list(lines)[3:] == solved
    for label in solved:
        assert set(lines[label].get_ydata()) == {-100} and lines[label].axes is right
    assert {text.get_text() for text in figures[0].legends[0].get_texts()} == set(lines)
    with Image.open(file) as picture:
        assert picture.format == 'PNG'


def test_the_six_runs_changed_last_are_compared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i in [1, 10, *range(2, 10)]:
        folder = tmp_path / 'runs' / f'CartPole-{i}'
        folder.mkdir(parents=True)
        np.savetxt(folder / 'scores.txt', np.arange(i * 30))
        os.utime(folder, (i, i))
    with drawn() as figures:
        compare_runs('CartPole')
    lines = {line.get_label(): line for line in figures[0].axes[0].lines}
    assert list(lines) == [f'CartPole-{i}' for i in range(5, 11)]
    assert len({line.get_color() for line in lines.values()}) == 6
    for i, line in enumerate(lines.values(), start=5):
        x, y = line.get_xydata().T
        assert list(x) == [*range(1, i * 30 + 1)]
        n = x - 1  # the mean of 0 to n is n / 2, that of n - 99 to n is n - 49.5
        np.testing.assert_allclose(y, np.where(n < 99, n / 2, n - 49.5))
    assert Path('runs/CartPole.png').exists()
    with pytest.raises(ValueError, match="must have a run in runs, got 'Cart'"):
        compare_runs('Cart')


def reverse(env):
    """The game with its states turned round, as a view of them."""
    return gym.wrappers.TransformObservation(
        env, lambda state: state[::-1], env.observation_space)


@pytest.mark.parametrize('wrap', [gym.wrappers.NormalizeObservation, Doubled, reverse])
def test_recording_is_a_game_of_that_very_env(wrap, tmp_path):
    env = wrap(gym.make('CartPole-v1'))
    env.unwrapped.force_mag = 1.0  # not as gymnasium makes it
    for seed in 1, 2:  # a wrapper learns from them
        env.reset(seed=seed)
    agent, twin = make_agent(env), copy.deepcopy(env)
    said = record_game(agent, env, tmp_path / 'Game.gif')
    (observation, _), score, over = twin.reset(seed=0), 0, False
    while not over:
        action = agent.choose_action(np.copy(observation))
        observation, reward, over, _, _ = twin.step(action)
        score += reward
    assert said == f'{tmp_path / "Game.gif"} (a game, score {score:.2f})'


@pytest.mark.parametrize('end, fps, said, n_steps, n_pictures', [
    (dict(length=60), {'render_fps': 15}, '(a game, score 120.00)', 60, 60),
    (dict(max_episode_steps=61), {'render_fps': 50}, '(a game, score 122.00)', 61, 21),
    (dict(length=60), {}, '(a game, score 120.00)', 60, 30),  # then 30 steps a second
    (dict(length=60), {'render_fps': None}, '(a game, score 120.00)', 60, 30),
    (dict(length=1), {}, '(a game, score 2.00)', 1, 1),
    ({}, {'render_fps': 30}, '(start of a game, score 1600.00)', 800, 400)])
def test_recording_goes_to_the_end_or_to_400_pictures(
        end, fps, said, n_steps, n_pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(Homemade, 'metadata', {'render_modes': ['rgb_array'], **fps})
    path = tmp_path / 'Game.gif'
    env = gym.make('Homemade-v0', **{'length': 1000, **end})
    env.unwrapped.render_mode = 'human'  # whatever mode it was trained in
    assert record_game(make_agent(env), env, path).endswith(said)
    # One before the game, and skipped ones too: they clear flames.
    assert env.unwrapped.n_drawn == 1 + n_steps
    shown, seconds = [], []
    with Image.open(path) as gif:
        assert gif.format == 'GIF'
        assert gif.info['loop'] == 0  # for ever
        assert gif.width <= 400 and gif.width == pytest.approx(3 * gif.height, abs=2)
        for i in range(gif.n_frames):
            gif.seek(i)
            shown.append(np.asarray(gif.convert('L')))
            seconds.append(gif.info['duration'] / 1000)
    assert len(shown) == n_pictures and 1.8 < seconds[-1] < 2.4  # the last one is held
    each = n_steps / (fps.get('render_fps') or 30) / n_pictures
    assert sum(seconds[:-1]) == pytest.approx(each * (n_pictures - 1), rel=0.06)
    # The last picture is that of the last step: a bar of two pixels a step, of 900.
    bar = 2 * n_steps % 900 / 900 * gif.width
    assert (shown[-1][50] > 128).sum() == pytest.approx(bar, abs=3)


@pytest.mark.parametrize('metadata', [{'render_modes': ['human']}, {}])
def test_game_without_pictures_is_said(metadata, monkeypatch):
    monkeypatch.setattr(Homemade, 'metadata', metadata)
    said = record_game(make_agent(Homemade()), Homemade(), 'Game.gif')
    assert said == 'no Game.gif: the game has no render mode rgb_array'


def test_runs_that_start_at_once_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'runs' / 'CartPole-4').mkdir(parents=True)
    with ThreadPoolExecutor(16) as pool:
        folders = list(pool.map(new_folder, [gym.make('CartPole-v1')] * 16))
    names = ['CartPole', *(f'CartPole-{i}' for i in (2, 3, *range(5, 18)))]
    assert sorted(folders) == sorted(Path('runs', name) for name in names)
    assert all(folder.is_dir() for folder in folders)
    assert new_folder(Doubled(Homemade())) == Path('runs/Homemade')  # made by hand


def count_until(presses, seen, error=None):
    """Go through 0 to 4; in 2 press Ctrl-C so often, and then raise the error."""
    for i in until_ctrl_c(range(5)):
        if i == 2:
            press_ctrl_c(presses)
        seen.append(i)
        if i == 2 and error:
            raise error


@pytest.mark.parametrize('presses, error, wanted', [
    (0, None, [0, 1, 2, 3, 4]), (1, None, [0, 1, 2]), (2, KeyboardInterrupt, [0, 1]),
    (0, ZeroDivisionError, [0, 1, 2]), (1, ZeroDivisionError, [0, 1, 2])])
def test_ctrl_c_ends_a_loop_between_two_items_and_then_is_as_before(
        presses, error, wanted, capsys):
    seen = []
    with pytest.raises(error) if error else nullcontext():
        count_until(presses, seen, error)
    assert seen == wanted
    said = '\nstopping after this game; Ctrl-C again breaks off at once\n'
    assert capsys.readouterr().err == (said if presses else '')
    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c(1)


def test_ctrl_c_that_is_ignored_stays_ignored():
    seen = []
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        count_until(2, seen)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize('save', [
    lambda path: save_network(T.nn.Linear(1, 1), path),
    lambda path: plot_learning_curve([1], [2], [0.5], path)])
@pytest.mark.parametrize('error', [OSError('no space'), KeyboardInterrupt()])
def test_save_that_is_broken_off_leaves_what_was_there(
        save, error, tmp_path, monkeypatch):
    write_bytes = Path.write_bytes

    def broken_off(part, data):
        assert part.parent == path.parent  # so that it can take the file's place
        write_bytes(part, b'half')
        raise error

    path = tmp_path / 'saved.png'
    save(path)
    before = path.read_bytes()
    monkeypatch.setattr(Path, 'write_bytes', broken_off)
    with pytest.raises(type(error)):
        save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('n_refused', [1, 10, 10 ** 6])
def test_save_waits_while_another_program_reads_the_file(
        n_refused, tmp_path, monkeypatch):
    path, network, replace = tmp_path / 'Pole.pt', T.nn.Linear(1, 1), Path.replace
    path.write_text('old')
    refused, waited = iter(range(n_refused)), []

    def replace_later(part, target):  # as Windows does
        if next(refused, None) is not None:
            raise PermissionError(13, 'in use by another process', str(target))
        replace(part, target)

    monkeypatch.setattr(Path, 'replace', replace_later)
    monkeypatch.setattr(time, 'sleep', waited.append)
    if n_refused < 50:
        save_network(network, path)
        assert T.equal(T.load(path)['weight'], network.weight)
    else:
        with pytest.raises(PermissionError, match='in use by another process'):
            save_network(network, path)
        assert path.read_text() == 'old' and 3 < sum(waited) < 10  # seconds
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('value', [np.nan, np.inf])
@pytest.mark.parametrize('name', ['0.weight', '0.bias', '1.weight', '1.bias'])
def test_weights_that_are_no_numbers_any_more_are_not_saved(name, value, tmp_path):
    path = tmp_path / 'Pole.pt'
    network = T.nn.Sequential(T.nn.Linear(2, 3), T.nn.Linear(3, 2))
    save_network(network, path)
    good = path.read_bytes()
    network.get_parameter(name).data.view(-1)[1] = value  # one of many
    with pytest.raises(ValueError, match='NaN or infinite.*smaller learning rate'):
        save_network(network, path)
    assert path.read_bytes() == good
