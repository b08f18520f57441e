"""The plot by its artists, the recording by its pictures, the files by their names."""
import pickle
from concurrent.futures import ThreadPoolExecutor

import gymnasium as gym
import numpy as np
import pytest
import torch as T
from PIL import Image

from conftest import Doubled, Homemade, drawn
from simple_dqn_torch import Agent
from utils import plot_learning_curve, record_game, save_network, write


def make_agent(env):
    """A fresh agent for env that would act at random if it were asked."""
    return Agent(gamma=0.99, epsilon=1.0, lr=1e-3, batch_size=64, seed=3,
                 input_dims=env.observation_space.shape, n_actions=env.action_space.n)


@pytest.mark.parametrize('missing, game, threshold', [
    (0, 'LunarLander-v3', 200), (0, 'Acrobot-v1', -100), (0, 'Homemade-v0', None),
    (1, None, None)])  # Ctrl-C can come between two appends
def test_plot_shows_both_series_over_the_games(missing, game, threshold, tmp_path):
    rng = np.random.default_rng(0)
    x, scores = list(range(1, 251)), list(rng.normal(size=250) * 100)
    epsilons = list(np.linspace(1, 0.01, 250))[:250 - missing]
    with drawn() as figures:
        plot_learning_curve(x, scores, epsilons, tmp_path / 'Lander.png',
                            game and gym.spec(game))
    left, right = figures[0].axes
    assert 'Lander' in left.get_title()
    assert (left.get_xlabel(), left.get_ylabel(), right.get_ylabel()) == (
        'Game', 'Epsilon', 'Score')
    sums = np.cumsum(scores)
    expected = sums / np.arange(1, 251)
    expected[100:] = (sums[100:] - sums[:-100]) / 100
    lines = {line.get_label(): line for ax in (left, right) for line in ax.lines}
    for ax, label, values in ((left, 'epsilon', epsilons), (right, 'score', scores),
                              (right, 'average of the last 100', expected)):
        assert lines[label].axes is ax
        np.testing.assert_allclose(lines[label].get_xydata(),
                                   np.column_stack([x[:len(values)], values]))
    assert lines['score'].get_linestyle() == 'None' and lines['score'].get_alpha() < 1
    assert len(lines) == 3 + (threshold is not None)
    if threshold is not None:
        assert set(lines[f'solved: {threshold}'].get_ydata()) == {threshold}
    assert {text.get_text() for text in figures[0].legends[0].get_texts()} == set(lines)
    with Image.open(tmp_path / 'Lander.png') as picture:
        assert picture.format == 'PNG' and picture.width >= 1200


def pictures(path):
    """The pictures of a GIF, each as an array of grey, and its seconds of play."""
    with Image.open(path) as gif:
        assert gif.format == 'GIF' and path.stat().st_size < 1_000_000
        grey, seconds = [], []
        for i in range(gif.n_frames):
            gif.seek(i)
            grey.append(np.asarray(gif.convert('L')))
            seconds.append(gif.info['duration'] / 1000)
    assert seconds[-1] == 2  # the last one is held
    return grey, sum(seconds[:-1])


def test_recording_is_one_greedy_game_and_leaves_the_agent_alone(tmp_path):
    env = gym.make('CartPole-v1')
    agent, path = make_agent(env), tmp_path / 'Pole.gif'
    before = pickle.dumps(vars(agent))
    said = record_game(agent, env, path)
    assert pickle.dumps(vars(agent)) == before

    agent.epsilon = 0.0
    observation, _ = env.reset(seed=0)
    n_steps, over = 0, False
    while not over:
        observation, _, over, _, _ = env.step(agent.choose_action(observation))
        n_steps += 1
    assert said == f'{path} (a game, score {n_steps}.00)'  # a point for each step
    shown, seconds = pictures(path)
    # One of three steps, and the last one, at 50 steps a second.
    assert len(shown) == len({*range(0, n_steps, 3), n_steps - 1})
    assert seconds == pytest.approx((len(shown) - 1) * 3 / 50)


@pytest.mark.parametrize('end, fps, said, n_steps, n_pictures', [
    (dict(length=60), {'render_fps': 15}, '(a game, score 120.00)', 60, 60),
    (dict(max_episode_steps=60), {'render_fps': 15}, '(a game, score 120.00)', 60, 60),
    (dict(length=60), {}, '(a game, score 120.00)', 60, 31),  # then 30 steps a second
    ({}, {'render_fps': 15}, '(the start of a game, score 800.00)', 400, 400)])
def test_recording_goes_to_the_end_or_to_400_pictures(
        end, fps, said, n_steps, n_pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(Homemade, 'metadata', {'render_modes': ['rgb_array'], **fps})
    env = gym.make('Homemade-v0', **{'length': 10 ** 6, **end})
    assert record_game(make_agent(env), env, tmp_path / 'Game.gif').endswith(said)
    shown, seconds = pictures(tmp_path / 'Game.gif')
    assert len(shown) == n_pictures and max(shown[0].shape) == 400
    assert seconds == pytest.approx(n_steps / (15 if fps else 30), rel=0.06)
    # The last picture is that of the last step: a bar of two pixels a step.
    assert (shown[-1][50] > 128).sum() == pytest.approx(2 * n_steps * 398 / 900, abs=1)
    assert not env.unwrapped.closed and Homemade.made[-1].closed  # its own game


@pytest.mark.filterwarnings('ignore:.*render_mode:UserWarning')  # gymnasium's own
@pytest.mark.parametrize('make', [
    lambda: gym.make('Blind-v0'), lambda: Doubled(gym.make('CartPole-v1')), Homemade])
def test_game_that_cannot_be_shown_is_said_and_skipped(make, tmp_path):
    env = make()
    said = record_game(make_agent(env), env, tmp_path / 'Game.gif')
    assert said.startswith(f'no {tmp_path / "Game.gif"}: the game cannot be made again')
    assert list(tmp_path.iterdir()) == []


def test_runs_that_end_at_once_are_saved_under_numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = gym.make('CartPole-v1')
    (tmp_path / 'CartPole-2.gif').touch()
    (tmp_path / 'CartPole-4.png').touch()
    networks = [make_agent(env).Q_eval for _ in range(16)]
    for i, network in enumerate(networks):
        T.nn.init.constant_(network.fc1.bias, i)
    with ThreadPoolExecutor(16) as pool:
        names = list(pool.map(save_network, networks, [env] * 16))
    assert set(names) == {'CartPole', 'CartPole-3',
                          *(f'CartPole-{i}' for i in range(5, 19))}
    assert [T.load(f'{name}.pt')['fc1.bias'][0] for name in names] == [*range(16)]
    assert save_network(network, Doubled(Homemade())) == 'Homemade'  # made by hand
    assert len(list(tmp_path.iterdir())) == 16 + 3


@pytest.mark.parametrize('error', [OSError, KeyboardInterrupt])
def test_write_that_is_broken_off_leaves_what_was_there(error, tmp_path, monkeypatch):
    def broken_off(*args):
        args[-1].write_bytes(b'half')
        raise error

    (tmp_path / 'Pole.pt').write_bytes(b'an earlier network')
    with pytest.raises(error):
        write(tmp_path / 'Pole.pt', broken_off)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(T, 'save', broken_off)
    with pytest.raises(error):
        save_network(T.nn.Linear(1, 1), gym.make('CartPole-v1'))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b'an earlier network']
