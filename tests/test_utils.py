"""The plot by its artists, the recording by its pictures, Ctrl-C by its signal."""
import signal
import sys

import gymnasium as gym
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch as T
from matplotlib.figure import Figure
from PIL import Image

from simple_dqn_torch import Agent
from utils import (Unbroken, check_run, games_until_ctrl_c, plot_learning_curve,
                   record_game, save_network)


@pytest.fixture
def saved_figures(monkeypatch):
    """The figures saved during a test."""
    figures, savefig = [], Figure.savefig

    def watched(figure, *args, **kwargs):
        figures.append(figure)
        return savefig(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, 'savefig', watched)
    return figures


def plot(path, n=250, **options):
    """Plot n made-up games; the numbers that went in."""
    rng = np.random.default_rng(0)
    x, scores = list(range(1, n + 1)), list(rng.normal(size=n) * 100)
    epsilons = list(np.linspace(1, 0.01, n))
    plot_learning_curve(x, scores, epsilons, str(path), **options)
    return x, scores, epsilons


def test_plot_shows_both_series_over_the_games(saved_figures, tmp_path):
    x, scores, epsilons = plot(tmp_path / 'Lander.png', reward_threshold=200)
    figure, = saved_figures
    left, right = figure.axes
    assert 'Lander' in left.get_title()
    assert (left.get_xlabel(), left.get_ylabel(), right.get_ylabel()) == (
        'Game', 'Epsilon', 'Score')
    assert right.yaxis.get_label_position() == 'right'

    lines = {line.get_label(): line for ax in (left, right) for line in ax.lines}
    np.testing.assert_array_equal(lines['epsilon'].get_xydata(),
                                  np.column_stack([x, epsilons]))
    assert lines['epsilon'].axes is left
    np.testing.assert_array_equal(lines['score'].get_xydata(),
                                  np.column_stack([x, scores]))
    assert lines['score'].get_linestyle() == 'None' and lines['score'].get_alpha() < 1
    average = lines['average of the last 100 games']
    assert average.axes is lines['score'].axes is right
    sums = np.cumsum(scores)
    expected = sums / np.arange(1, 251)
    expected[100:] = (sums[100:] - sums[:-100]) / 100
    np.testing.assert_allclose(average.get_ydata(), expected)
    np.testing.assert_array_equal(average.get_xdata(), x)
    assert set(lines['solved: 200'].get_ydata()) == {200}
    shown = {text.get_text() for legend in figure.legends + [right.get_legend()]
             if legend for text in legend.get_texts()}
    assert shown == set(lines)


@pytest.mark.parametrize('threshold, n_lines', [(None, 2), (0, 3), (-110.0, 3)])
def test_plot_draws_a_threshold_if_there_is_one(threshold, n_lines, saved_figures,
                                                tmp_path):
    plot(tmp_path / 'Game.png', n=3, reward_threshold=threshold)
    lines = saved_figures[0].axes[1].lines
    assert len(lines) == n_lines
    assert threshold is None or set(lines[-1].get_ydata()) == {threshold}


def test_plot_is_a_sharp_png_and_touches_nothing_global(tmp_path):
    before = dict(matplotlib.rcParams)
    plot(tmp_path / 'Lander.png')
    assert dict(matplotlib.rcParams) == before
    assert plt.get_fignums() == []
    with Image.open(tmp_path / 'Lander.png') as picture:
        picture.load()
        assert picture.format == 'PNG' and picture.width >= 1200


@pytest.fixture
def env():
    """A CartPole."""
    env = gym.make('CartPole-v1')
    yield env
    env.close()


def make_agent(env):
    """A fresh agent for env that would act at random if it were asked."""
    return Agent(gamma=0.99, epsilon=1.0, lr=1e-3, batch_size=64, seed=3,
                 input_dims=env.observation_space.shape, n_actions=env.action_space.n)


def seconds(path):
    """Playing time of a GIF, decoded to its end."""
    with Image.open(path) as picture:
        assert picture.format == 'GIF' and picture.n_frames > 1
        total = 0
        for i in range(picture.n_frames):
            picture.seek(i)
            picture.load()
            total += picture.info['duration'] / 1000
    return total


def test_recording_is_one_greedy_game_at_natural_speed(env, tmp_path, capsys):
    agent = make_agent(env)
    record_game(agent, env, str(tmp_path / 'CartPole.gif'))

    greedy = make_agent(env)
    greedy.epsilon = 0.0
    observation, _ = env.reset(seed=0)
    n_steps, over = 0, False
    while not over:
        observation, _, terminated, truncated, _ = env.step(
            greedy.choose_action(observation))
        n_steps, over = n_steps + 1, terminated or truncated
    assert f'score {n_steps}.00' in capsys.readouterr().out  # a point for each step

    moving = seconds(tmp_path / 'CartPole.gif') - 2  # the last is held 2 seconds
    assert moving == pytest.approx(n_steps / 50, abs=0.1)
    assert (tmp_path / 'CartPole.gif').stat().st_size < 1_000_000


def test_recording_leaves_the_agent_alone(env, tmp_path):
    agent = make_agent(env)
    agent.store_transition(np.ones(4), 1, 1.0, np.ones(4), False)
    state = agent.rng.bit_generator.state
    memories = {name: value.copy() for name, value in vars(agent).items()
                if name.endswith('memory')}
    record_game(agent, env, str(tmp_path / 'CartPole.gif'))
    assert (agent.epsilon, agent.mem_cntr) == (1.0, 1)
    assert agent.rng.bit_generator.state == state
    assert len(memories) == 5
    for name, value in memories.items():
        np.testing.assert_array_equal(getattr(agent, name), value)


class Endless(gym.Env):
    """A game without an end, at 15 pictures a second."""

    metadata = {'render_modes': ['rgb_array'], 'render_fps': 15}
    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, render_mode=None):
        self.render_mode, self.n_pictures = render_mode, 0

    def reset(self, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), 0.0, False, False, {}

    def render(self):
        self.n_pictures += 1
        picture = np.zeros((300, 900, 3), dtype=np.uint8)
        picture[:, :2 * self.n_pictures] = 255  # a bar that grows
        return picture


class Scored(Endless):
    """Steps of 2 points each, cut off by a time limit; no rate of pictures given."""

    metadata = {'render_modes': ['rgb_array']}
    made = []

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.made.append(self)
        self.closed = False

    def step(self, action):
        return np.zeros(2, np.float32), 2.0, False, False, {}

    def close(self):
        self.closed = True


class Blind(Endless):
    """A game without a picture."""

    metadata = {'render_modes': []}

    def render(self):
        return None


class Doubled(gym.RewardWrapper):
    """A wrapper that gymnasium cannot make anew."""

    def reward(self, reward):
        return 2 * reward


gym.register('Endless-v0', Endless)
gym.register('Scored-v0', Scored, max_episode_steps=60)
gym.register('Blind-v0', Blind)


def test_endless_game_is_cut_and_said_to_be(tmp_path, capsys):
    env = gym.make('Endless-v0')
    record_game(make_agent(env), env, str(tmp_path / 'Endless.gif'))
    assert 'the start of a greedy game' in capsys.readouterr().out
    with Image.open(tmp_path / 'Endless.gif') as picture:
        assert picture.n_frames == 400 and max(picture.size) <= 400
    assert seconds(tmp_path / 'Endless.gif') - 2 == pytest.approx(399 / 15, abs=0.01)


@pytest.fixture
def scored(tmp_path, capsys):
    """The path of a recording of 60 steps, what was printed, and the game."""
    env = gym.make('Scored-v0')
    with pytest.warns(UserWarning, match='fps'):  # gymnasium's own
        record_game(make_agent(env), env, str(tmp_path / 'Scored.gif'))
    return tmp_path / 'Scored.gif', capsys.readouterr().out, Scored.made[-1]


def test_recording_ends_at_the_time_limit_with_the_sum_of_the_rewards(scored):
    _, said, _ = scored
    assert 'saved one greedy game, score 120.00' in said


def test_recording_is_at_30_steps_a_second_unless_the_game_says_otherwise(scored):
    path, _, _ = scored
    assert seconds(path) - 2 == pytest.approx(60 / 30, abs=0.1)


def test_recording_shows_about_16_pictures_a_second(scored):
    with Image.open(scored[0]) as picture:
        assert 12 < picture.n_frames / (60 / 30) < 20


def test_recording_ends_with_the_last_picture(scored):
    path, _, game = scored
    assert game.n_pictures == 61  # one to see whether there are any, one for each step
    with Image.open(path) as picture:
        picture.seek(picture.n_frames - 1)
        row = np.asarray(picture.convert('L'))[50]
    assert (row > 128).sum() == pytest.approx(2 * 61 * 400 / 900, abs=1)


def test_recording_closes_its_game(scored):
    assert scored[2].closed


def test_game_without_a_picture_is_said_and_skipped(tmp_path, capsys):
    env = gym.make('Blind-v0')
    with pytest.warns(UserWarning, match='render_mode'):  # gymnasium's own
        record_game(make_agent(env), env, str(tmp_path / 'Blind.gif'))
    assert 'Blind-v0 offers no picture (' in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_game_that_cannot_be_made_anew_is_said_and_skipped(env, tmp_path, capsys):
    record_game(make_agent(env), Doubled(env), str(tmp_path / 'Doubled.gif'))
    assert 'CartPole-v1 offers no picture (' in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


# The network's file

def test_saved_weights_can_be_loaded(env, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    network = make_agent(env).Q_eval
    save_network(network, 'Pole')
    assert [path.name for path in tmp_path.iterdir()] == ['Pole.pt']
    assert capsys.readouterr().out == 'saved the network as Pole.pt\n'
    other = make_agent(env).Q_eval
    with T.no_grad():
        other.fc1.bias.zero_()
    other.load_state_dict(T.load('Pole.pt'))
    assert T.equal(other.fc1.bias, network.fc1.bias)


def test_write_that_fails_leaves_the_earlier_network(env, tmp_path, monkeypatch):
    def full_disk(weights, path):
        with open(path, 'wb') as file:
            file.write(b'half')
        raise OSError('no space left')

    monkeypatch.chdir(tmp_path)
    (tmp_path / 'Pole.pt').write_bytes(b'an earlier network')
    monkeypatch.setattr(T, 'save', full_disk)
    with pytest.raises(OSError, match='no space left'):
        save_network(make_agent(env).Q_eval, 'Pole')
    assert (tmp_path / 'Pole.pt').read_bytes() == b'an earlier network'


def test_check_of_a_run_leaves_the_files_of_an_earlier_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'Pole.pt').write_bytes(b'an earlier network')
    check_run('Pole', 1)
    assert (tmp_path / 'Pole.pt').read_bytes() == b'an earlier network'


# Ctrl-C

@pytest.fixture(autouse=True)
def sigint():
    """Every test here leaves Ctrl-C, and standard output, as they were."""
    handler, stdout = signal.getsignal(signal.SIGINT), sys.stdout
    yield
    signal.signal(signal.SIGINT, handler)
    sys.stdout = stdout


def test_games_are_counted_from_one():
    assert list(games_until_ctrl_c(3)) == [1, 2, 3]


def test_ctrl_c_ends_after_the_game_in_play(capfd):
    played = []
    for i in games_until_ctrl_c(10):
        if i == 4:
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        played.append(i)
    assert played == [1, 2, 3, 4]
    assert capfd.readouterr().err == (
        'Ctrl-C: finishing this game, then saving; again ends at once\n')


def test_ctrl_c_after_the_last_game_says_that_all_are_played(capfd):
    for _ in games_until_ctrl_c(2):
        pass
    signal.raise_signal(signal.SIGINT)
    assert capfd.readouterr().err == (
        'Ctrl-C: all games are played, saving; again ends at once\n')
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL


@pytest.mark.parametrize('closed', [True, False])
def test_printing_after_ctrl_c_needs_no_standard_output(closed, tmp_path):
    stdout = None
    if closed:
        stdout = open(tmp_path / 'log', 'w', encoding='utf-8')
        stdout.close()
    print('no error', file=Unbroken(stdout), flush=True)
