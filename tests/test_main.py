"""The main script, edited as a user edits it and run as a user runs it."""
import os
import re
import runpy
import signal
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch as T
from matplotlib.figure import Figure
from PIL import Image

from simple_dqn_torch import DeepQNetwork

THREE_GAMES = ('n_games = 500', 'n_games = 3')
PLAIN = {name: value for name, value in os.environ.items() if name not in (
    'DISPLAY', 'WAYLAND_DISPLAY', 'MPLBACKEND', 'PYTHONUNBUFFERED')}


def start(script):
    """Start a script in its own folder, with no display and its output piped."""
    return subprocess.Popen([sys.executable, script.name], cwd=script.parent,
                            env=PLAIN, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def run(script):
    """Run a script to its end; what it printed."""
    with start(script) as process:
        output, errors = process.communicate(timeout=80)
    assert (process.returncode, errors) == (0, '')
    return output


def check_files(folder, name):
    """The three files of a run are there, named after the game, and sound."""
    assert {path.name for path in folder.glob(f'{name}.*')} == {
        f'{name}.pt', f'{name}.png', f'{name}.gif'}
    for ending in ('png', 'gif'):
        with Image.open(folder / f'{name}.{ending}') as picture:
            picture.load()
            assert ending == 'png' or picture.n_frames > 1
    return T.load(folder / f'{name}.pt', weights_only=True, map_location='cpu')


def test_three_games_of_lunar_lander(edit_main, episodes, tmp_path, monkeypatch,
                                     capsys, keep_sigint):
    script = edit_main(THREE_GAMES)
    output = run(script)

    games = episodes(output)
    assert [game[0] for game in games] == [1, 2, 3]
    scores = [game[1] for game in games]
    np.testing.assert_allclose([game[2] for game in games],
                               np.cumsum(scores) / [1, 2, 3], atol=0.011)
    epsilons = [game[3] for game in games]
    assert 1 > epsilons[0] > epsilons[1] > epsilons[2] > 0.5
    assert len(output.splitlines()) == 6
    for ending in ('pt', 'png', 'gif'):
        assert len(re.findall(rf'\bLunarLander\.{ending}\b', output)) == 1
    saved = check_files(tmp_path, 'LunarLander')

    # Once more in this process: the same lines, and all the rest to look at.
    monkeypatch.chdir(tmp_path)
    figures, closed = [], []
    monkeypatch.setattr(Figure, 'savefig',
                        lambda figure, *args, **kwargs: figures.append(figure))
    monkeypatch.setattr(gym.wrappers.TimeLimit, 'close', lambda env: closed.append(env))
    T.set_num_threads(2)
    main = runpy.run_path(str(script), run_name='__main__')
    assert capsys.readouterr().out == output
    assert T.get_num_threads() == 1
    assert main['env'] in closed
    left, right = figures[0].axes
    for axis, label, column in ((left, 'epsilon', 3), (right, 'score', 1)):
        line, = [line for line in axis.lines if line.get_label() == label]
        np.testing.assert_allclose(line.get_xydata(),
                                   [(game[0], game[column]) for game in games],
                                   atol=0.0051)
    assert 'solved: 200' in {line.get_label() for line in right.lines}
    agent = main['agent']
    assert (agent.gamma, agent.batch_size, agent.eps_min) == (0.99, 64, 0.03)
    assert agent.Q_eval.optimizer.param_groups[0]['lr'] == 0.0003
    network = DeepQNetwork(1e-3, (8,), 256, 256, 4)
    network.load_state_dict(saved)
    states = T.randn(20, 8, device=network.device)
    assert T.equal(network(states), agent.Q_eval(states))


def test_another_game_is_one_edited_line(edit_main, episodes, tmp_path, monkeypatch,
                                         capsys, keep_sigint):
    script = edit_main(THREE_GAMES, ("gym.make('LunarLander-v3')",
                                     "gym.make('CartPole-v1')"))
    monkeypatch.chdir(tmp_path)
    main = runpy.run_path(str(script), run_name='__main__')
    games = episodes(capsys.readouterr().out)
    assert [game[0] for game in games] == [1, 2, 3]
    assert all(game[1] >= 8 for game in games)  # a pole takes that long to fall
    weights = check_files(tmp_path, 'CartPole')
    assert weights['fc1.weight'].shape == (256, 4)
    assert weights['fc3.weight'].shape == (2, 256)
    # A fallen pole ends each game for good: as many terminal states as games.
    agent = main['agent']
    assert agent.mem_cntr == sum(game[1] for game in games)
    assert agent.terminal_memory.sum() == 3
    assert agent.terminal_memory[agent.mem_cntr - 1]


def test_game_cut_off_by_its_time_limit_is_not_terminal(edit_main, tmp_path,
                                                        monkeypatch, keep_sigint):
    script = edit_main(THREE_GAMES, ("gym.make('LunarLander-v3')",
                                     "gym.make('LunarLander-v3', max_episode_steps=9)"))
    monkeypatch.chdir(tmp_path)
    agent = runpy.run_path(str(script), run_name='__main__')['agent']
    assert agent.mem_cntr == 27
    assert not agent.terminal_memory.any()
    states = agent.state_memory[:27].reshape(3, 9, 8)
    new_states = agent.new_state_memory[:27].reshape(3, 9, 8)
    # Each game goes on from where its last step led, and starts somewhere new.
    np.testing.assert_array_equal(new_states[:, :-1], states[:, 1:])
    assert (new_states[:-1, -1] != states[1:, 0]).any(axis=1).all()


def test_the_next_seed_plays_other_games(edit_main, episodes, tmp_path, monkeypatch,
                                         capsys, keep_sigint):
    monkeypatch.chdir(tmp_path)
    scores = []
    for seed in (0, 1):
        runpy.run_path(str(edit_main(('n_games = 500', 'n_games = 2'),
                                     ('seed = 0', f'seed = {seed}'))),
                       run_name='__main__')
        scores.append([game[1] for game in episodes(capsys.readouterr().out)])
    assert scores[0][0] != scores[1][0] and scores[0][1] != scores[1][1]


posix_only = pytest.mark.skipif(sys.platform == 'win32',
                                reason='a signal cannot be sent to one process alone')


@posix_only
def test_ctrl_c_keeps_the_games_played(edit_main, episodes, tmp_path):
    with start(edit_main()) as process:
        output = process.stdout.readline() + process.stdout.readline()
        assert output.startswith('episode 1 ')  # read at once, though piped
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, '')
    n = len(episodes(output + rest))
    assert 2 <= n < 10
    assert f'{n} of 500 games' in rest
    check_files(tmp_path, 'LunarLander')


@posix_only
def test_second_ctrl_c_ends_at_once(edit_main, tmp_path):
    with start(edit_main()) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        while not process.stdout.readline().startswith('Ctrl-C'):
            pass
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (-signal.SIGINT, '')
    assert not (tmp_path / 'LunarLander.gif').exists()
