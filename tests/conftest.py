"""Where the tests find the project, how they play it, and games of their own."""
import io
import os
import re
import runpy
import signal
import subprocess
import sys
from contextlib import chdir, contextmanager, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch as T
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).with_name('study')))
import player  # noqa: E402 (it is found only now)

LANDER = "gym.make('LunarLander-v3')"
NUMBER = r'(-?\d+\.\d\d)'
EPISODE = (rf'^episode (\d+) score {NUMBER} average score {NUMBER} '
           rf'epsilon {NUMBER}$')
signal.signal(signal.SIGINT, signal.default_int_handler)  # `nohup … &` ignores it
T.set_num_threads(1)  # on a busy machine, two can wait for each other for minutes


def pytest_configure(config):
    """Turn every warning into an error, but those of Box2D's own SWIG types."""
    config.addinivalue_line('filterwarnings', 'error')
    config.addinivalue_line(
        'filterwarnings',
        'ignore:builtin type (SwigPyPacked|SwigPyObject|swigvarlink) has no '
        '__module__ attribute:DeprecationWarning')


def press_ctrl_c(times):
    """As if somebody pressed Ctrl-C so many times."""
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)


@contextmanager
def drawn():
    """A list that gets every figure that is saved meanwhile."""
    figures, savefig = [], Figure.savefig
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, 'savefig', lambda figure, *args, **kwargs: (
            figures.append(figure), savefig(figure, *args, **kwargs)))
        yield figures


@pytest.fixture(scope='module')
def play(tmp_path_factory):
    """Run the edited script in this process, and return what it leaves.

    That is its folder (cwd), output, error, figures, number of threads, and names; and
    of each game what it prints: number, score, average, epsilon. The script starts with
    the names in given.
    """
    def play(n, make, seed=0, folder=None, edits=(), **given):
        folder = folder or tmp_path_factory.mktemp('run')
        player.edited(folder, [*player.games(n, seed, make), *edits])
        error, names = None, {}
        T.set_num_threads(2)
        with chdir(folder), drawn() as figures, pytest.MonkeyPatch.context() as patch, \
                redirect_stdout(io.StringIO()) as output:
            patch.syspath_prepend(folder)  # its scripts, not those imported before
            for script in 'simple_dqn_torch', 'utils':
                patch.delitem(sys.modules, script, raising=False)
            try:
                names = runpy.run_path(player.MAIN, given, run_name='__main__')
            except (Exception, KeyboardInterrupt) as caught:
                error = caught
        n_threads = T.get_num_threads()
        T.set_num_threads(1)
        output = output.getvalue()
        games = np.array(re.findall(EPISODE, output, re.M), dtype=float)
        return SimpleNamespace(cwd=folder, output=output, error=error, games=games,
                               figures=figures, n_threads=n_threads, **names)
    return play


@pytest.fixture
def start(tmp_path):
    """Start the edited script as a program, without a display; the process."""
    def start(n):
        player.edited(tmp_path, player.games(n, 0, LANDER))
        env = {name: value for name, value in os.environ.items() if name not in (
            'DISPLAY', 'WAYLAND_DISPLAY', 'MPLBACKEND', 'PYTHONUNBUFFERED')}
        return subprocess.Popen([sys.executable, player.MAIN], cwd=tmp_path, env=env,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True)
    return start


class Homemade(gym.Env):
    """A game as people write them: it returns one array and changes it in place.

    The array holds the number of the step and its tenth. A step brings 2 points; a game
    has length steps. on_step(game) is called in each; it can return another reward, or
    raise an error.
    """

    metadata = {'render_modes': ['rgb_array'], 'render_fps': 15}
    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def __init__(self, render_mode=None, length=5, on_step=None,
                 action_space=gym.spaces.Discrete(2)):
        self.render_mode, self.length, self.on_step = render_mode, length, on_step
        self.action_space = action_space
        self.array, self.n_games, self.n_drawn = np.zeros(2, np.float32), 0, 0
        self.closed = False

    def reset(self, seed=None, options=None):
        self.array[:] = 0
        self.n_games += 1
        return self.array, {}

    def step(self, action):
        assert self.array[0] < self.length, 'the game is over'
        self.array += 1, 0.1
        reward = self.on_step(self) if self.on_step else None
        reward = 2.0 if reward is None else reward
        return self.array, reward, self.array[0] >= self.length, False, {}

    def render(self):
        """A bar that grows by two pixels a step, up to 900, and again."""
        assert self.render_mode == 'rgb_array'
        self.n_drawn += 1
        picture = np.zeros((300, 900, 3), dtype=np.uint8)
        picture[:, :2 * int(self.array[0]) % 900] = 255
        return picture

    def close(self):
        self.closed = True


class Discrete(gym.spaces.Space):
    """Another package's space of the same name."""

    start = 0

    def __init__(self, n):
        self.n = n

    def __repr__(self):
        return f'Discrete({self.n})'


class Doubled(gym.RewardWrapper):
    """A wrapper that gymnasium cannot make anew."""

    def reward(self, reward):
        return 2 * reward


gym.register('Homemade-v0', Homemade, disable_env_checker=True)
