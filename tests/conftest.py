"""How the tests play the project, and games of their own."""
import io
import os
import re
import runpy
import signal
import subprocess
import sys
from contextlib import chdir, contextmanager, redirect_stdout
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch as T
from matplotlib.figure import Figure

from edits import AGENT, MAIN, games, number, write_edited

LANDER = "gym.make('LunarLander-v3', max_episode_steps=100)"  # so that tests are short
# What a reader may have edited, as the tests need it.
NUMBERS = [number('batch_size', 64), number('epsilon', 1.0),
           number('max_mem_size', 100_000, AGENT), number('fc1_dims', 256, AGENT),
           number('fc2_dims', 256, AGENT)]
NUMBER = r'(-?\d+\.\d\d)'
EPISODE = (rf'^episode (\d+)/\d+ score {NUMBER} average score {NUMBER} '
           rf'epsilon {NUMBER}$')
signal.signal(signal.SIGINT, signal.default_int_handler)  # `nohup … &` ignores it
T.set_num_threads(1)  # on a busy machine, two can wait for each other for minutes


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

    made: the game, as code or as an env. Returned are its folder, output, error,
    figures, number of threads, and as main the names of the script; and of each game
    what it prints: number, score, average, epsilon.
    """
    def play(n, made, seed=0, folder=None, edits=()):
        folder = folder or tmp_path_factory.mktemp('run')
        code = made if isinstance(made, str) else 'env_of_the_test'
        write_edited(folder, [*games(n, seed, code), *NUMBERS, *edits])
        error, names = None, {}
        T.set_num_threads(2)
        with chdir(folder), drawn() as figures, pytest.MonkeyPatch.context() as patch, \
                redirect_stdout(io.StringIO()) as output:
            patch.syspath_prepend(folder)  # its scripts, not those imported before
            for script in 'simple_dqn_torch', 'utils':
                patch.delitem(sys.modules, script, raising=False)
            try:
                names = runpy.run_path(MAIN, {'env_of_the_test': made}, '__main__')
            except (Exception, KeyboardInterrupt) as caught:
                error = caught
        n_threads = T.get_num_threads()
        T.set_num_threads(1)
        printed = np.array(re.findall(EPISODE, output.getvalue(), re.M), dtype=float)
        return SimpleNamespace(
            folder=folder, output=output.getvalue(), error=error, figures=figures,
            n_threads=n_threads, games=printed, main=SimpleNamespace(**names))
    return play


@pytest.fixture
def start(tmp_path):
    """Start the edited script as a program, without a display; the process."""
    def start(n):
        write_edited(tmp_path, [*games(n, 0, LANDER), *NUMBERS])
        env = {name: value for name, value in os.environ.items() if name not in (
            'DISPLAY', 'WAYLAND_DISPLAY', 'MPLBACKEND', 'PYTHONUNBUFFERED')}
        return subprocess.Popen([sys.executable, MAIN], cwd=tmp_path, env=env,
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


class Doubled(gym.RewardWrapper):
    """A wrapper that gymnasium cannot make anew."""

    def reward(self, reward):
        return 2 * reward


gym.register('Homemade-v0', Homemade, disable_env_checker=True)
