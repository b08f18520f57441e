"""The main script, edited as a user edits it and run as a user runs it."""
import io
import os
import re
import runpy
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch as T
from matplotlib.figure import Figure
from PIL import Image

import study
from simple_dqn_torch import DeepQNetwork

PLAIN = {name: value for name, value in os.environ.items() if name not in (
    'DISPLAY', 'WAYLAND_DISPLAY', 'MPLBACKEND', 'PYTHONUNBUFFERED')}
NUMBER = r'(-?\d+\.\d\d)'
EPISODE = re.compile(rf'episode (\d+) score {NUMBER} average score {NUMBER} '
                     rf'epsilon {NUMBER}')


def episodes(output):
    """The lines of a run's games: an array of (number, score, average, epsilon)."""
    found = [EPISODE.fullmatch(row) for row in output.splitlines()]
    return np.array([match.groups() for match in found if match], dtype=float)


def n_games(n):
    """The edit that sets the number of games."""
    return 'n_games = 500', f'n_games = {n}'


@pytest.fixture(scope='module')
def play(tmp_path_factory):
    """Edit the script, run it in this process; its names, output and folder."""
    sigint = signal.getsignal(signal.SIGINT)

    def play(*edits):
        folder = tmp_path_factory.mktemp('run')
        study.edited(folder, [(study.MAIN, *edit) for edit in edits])
        with pytest.MonkeyPatch.context() as patch, \
                redirect_stdout(io.StringIO()) as output:
            patch.chdir(folder)
            names = runpy.run_path(study.MAIN, run_name='__main__')
        return SimpleNamespace(folder=folder, output=output.getvalue(), **names)

    yield play
    signal.signal(signal.SIGINT, sigint)
    T.set_flush_denormal(False)


@pytest.fixture
def start(tmp_path):
    """Edit the script, start it as a program, without a display; the process."""
    def start(*edits):
        study.edited(tmp_path, [(study.MAIN, *edit) for edit in edits])
        return subprocess.Popen([sys.executable, study.MAIN], cwd=tmp_path, env=PLAIN,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True)
    return start


def check_files(folder, name):
    """The three files of a run are there, named after the game, and sound."""
    assert {path.name for path in folder.glob(f'{name}.*')} == {
        f'{name}.pt', f'{name}.png', f'{name}.gif'}
    for ending in ('png', 'gif'):
        with Image.open(folder / f'{name}.{ending}') as picture:
            picture.load()
            assert ending == 'png' or picture.n_frames > 1
    return T.load(folder / f'{name}.pt', weights_only=True, map_location='cpu')


# Three games of LunarLander

@pytest.fixture(scope='module')
def three(play):
    """The script as it stands, three games long; also what it plotted and closed."""
    figures, closed = [], []
    savefig, close = Figure.savefig, gym.wrappers.TimeLimit.close

    def watched_savefig(figure, *args, **kwargs):
        figures.append(figure)
        savefig(figure, *args, **kwargs)

    def watched_close(env):
        closed.append(env)
        close(env)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, 'savefig', watched_savefig)
        patch.setattr(gym.wrappers.TimeLimit, 'close', watched_close)
        T.set_num_threads(2)
        run = play(n_games(3))
    run.n_threads, run.figures, run.closed = T.get_num_threads(), figures, closed
    T.set_num_threads(1)
    return run


def test_each_game_prints_its_score_the_average_and_epsilon(three):
    number, score, average, epsilon = episodes(three.output).T
    np.testing.assert_array_equal(number, [1, 2, 3])
    np.testing.assert_allclose(average, np.cumsum(score) / number, atol=0.011)
    assert 1 > epsilon[0] > epsilon[1] > epsilon[2] > 0.5
    np.testing.assert_allclose(score, three.scores, atol=0.0051)


def test_a_run_leaves_its_network_curve_and_recording_and_says_so(three):
    check_files(three.folder, 'LunarLander')
    assert len(three.output.splitlines()) == 6
    for ending in ('pt', 'png', 'gif'):
        assert len(re.findall(rf'\bLunarLander\.{ending}\b', three.output)) == 1


def test_the_network_saved_is_the_one_trained(three):
    network = DeepQNetwork(1e-3, (8,), 256, 256, 4)
    network.load_state_dict(T.load(three.folder / 'LunarLander.pt'))
    states = T.randn(20, 8, device=network.device)
    assert T.equal(network(states), three.agent.Q_eval(states))


def test_the_plot_shows_what_was_printed(three):
    number, score, _, epsilon = episodes(three.output).T
    left, right = three.figures[0].axes
    for axis, label, values in ((left, 'epsilon', epsilon), (right, 'score', score)):
        line, = [line for line in axis.lines if line.get_label() == label]
        np.testing.assert_allclose(line.get_xydata(), np.column_stack([number, values]),
                                   atol=0.0051)
    assert 'solved: 200' in {line.get_label() for line in right.lines}


def test_the_numbers_of_the_script_reach_the_agent(three):
    agent = three.agent
    assert (agent.gamma, agent.batch_size, agent.mem_size) == (0.99, 64, 100000)
    assert (agent.eps_min, agent.eps_dec) == (0.03, 5e-4)
    scheduler = agent.Q_eval.scheduler
    assert (scheduler.base_lrs, scheduler.gamma) == ([0.0003], 1)


def test_the_game_is_closed(three):
    assert three.env in three.closed


def test_the_script_runs_on_one_thread_without_denormal_numbers(three):
    assert three.n_threads == 1
    assert T.tensor(1e-40) * 1 == 0


def test_another_process_plays_the_same_games(three, start):
    with start(n_games(3)) as process:
        output, errors = process.communicate(timeout=80)
    assert (process.returncode, errors) == (0, '')
    assert output == three.output


# One thing edited

def test_another_game_is_one_edited_line(play):
    run = play(n_games(3), ("gym.make('LunarLander-v3')", "gym.make('CartPole-v1')"))
    scores = episodes(run.output)[:, 1]
    assert len(scores) == 3 and scores.min() >= 8  # a pole takes that long to fall
    weights = check_files(run.folder, 'CartPole')
    assert weights['fc1.weight'].shape == (256, 4)
    assert weights['fc3.weight'].shape == (2, 256)
    # A fallen pole ends each game for good: as many terminal states as games.
    assert run.agent.mem_cntr == scores.sum()
    assert run.agent.terminal_memory.sum() == 3
    assert run.agent.terminal_memory[run.agent.mem_cntr - 1]


@pytest.fixture(scope='module')
def short_games(play):
    """105 games of LunarLander, each cut off after 9 steps; seed 1."""
    return play(n_games(105), ('seed = 0', 'seed = 1'),
                ("gym.make('LunarLander-v3')",
                 "gym.make('LunarLander-v3', max_episode_steps=9)"))


def test_a_game_cut_off_by_its_time_limit_is_not_terminal(short_games):
    assert short_games.agent.mem_cntr == 105 * 9
    assert not short_games.agent.terminal_memory.any()


def test_the_forgotten_line_each_step_starts_where_the_last_one_ended(short_games):
    states, new_states = (memory[:105 * 9].reshape(105, 9, 8) for memory in (
        short_games.agent.state_memory, short_games.agent.new_state_memory))
    np.testing.assert_array_equal(new_states[:, :-1], states[:, 1:])
    # A game starts somewhere new, not where the one before was cut off.
    assert (new_states[:-1, -1] != states[1:, 0]).any(axis=1).all()


def test_the_average_is_that_of_the_last_100_games(short_games):
    _, scores, averages, _ = episodes(short_games.output).T
    for i in (50, 99, 100, 104):
        assert averages[i] == pytest.approx(scores[max(0, i - 99):i + 1].mean(),
                                            abs=0.011)


def test_the_seed_is_that_of_the_game(short_games):
    env = gym.make('LunarLander-v3')
    env.reset(seed=1)
    for i in range(2):  # one reset a game, drawing on from the seed
        observation, _ = env.reset()
        np.testing.assert_array_equal(short_games.agent.state_memory[i * 9],
                                      observation)
        for action in short_games.agent.action_memory[i * 9:i * 9 + 9]:
            env.step(action)
    env.close()


def test_the_seed_is_that_of_the_agent(short_games):
    rng = np.random.default_rng(1)
    actions = []
    for _ in range(63):  # no batch is drawn yet, and epsilon is 1
        rng.random()
        actions.append(rng.choice(4))
    np.testing.assert_array_equal(short_games.agent.action_memory[:63], actions)


def test_another_name_keeps_the_files_of_an_earlier_run(play):
    run = play(n_games(1), ('name = env.spec.name', "name = 'second'"))
    check_files(run.folder, 'second')
    assert not list(run.folder.glob('LunarLander.*'))


@pytest.mark.parametrize('edit, error, wanted', [
    (n_games(0), ValueError, 'n_games must be a whole number above 0, got 0'),
    (n_games(1.5), ValueError, 'n_games must be a whole number above 0, got 1.5'),
    (('name = env.spec.name', "name = 'nowhere/Lander'"), FileNotFoundError,
     r'[\\/]run\d+[\\/]nowhere[\\/]Lander.part'),
])
def test_a_run_that_could_not_be_saved_is_refused_before_it_plays(edit, error, wanted,
                                                                  play, monkeypatch):
    steps = []
    monkeypatch.setattr(gym.wrappers.TimeLimit, 'step',
                        lambda env, action: steps.append(action))
    with pytest.raises(error, match=wanted):
        play(edit)
    assert steps == []


# Ctrl-C

posix_only = pytest.mark.skipif(sys.platform == 'win32',
                                reason='a signal cannot be sent to one process alone')


@posix_only
def test_ctrl_c_keeps_the_games_played(start, tmp_path):
    with start() as process:
        output = process.stdout.readline() + process.stdout.readline()
        assert output.startswith('episode 1 ')  # read at once, though piped
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors == 'Ctrl-C: finishing this game, then saving; again ends at once\n'
    n = len(episodes(output + rest))
    assert 2 <= n < 10
    assert f'{n} of 500 games' in rest
    check_files(tmp_path, 'LunarLander')


@posix_only
def test_ctrl_c_that_also_ends_the_reader_of_the_output_keeps_the_games(start,
                                                                        tmp_path):
    with start() as process:
        process.stdout.readline()
        process.stdout.close()  # as `tee` does, in `python main_lunar_lander.py | tee`
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        assert process.stderr.read().count('\n') == 1
    assert process.returncode == 0
    check_files(tmp_path, 'LunarLander')


@posix_only
def test_second_ctrl_c_ends_at_once(start, tmp_path):
    with start() as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith('Ctrl-C')
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert not (tmp_path / 'LunarLander.gif').exists()
