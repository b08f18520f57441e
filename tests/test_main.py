"""The main script, edited as a reader edits it and run as a reader runs it."""
import re
import signal
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch as T

from conftest import LANDER, NUMBER, Discrete, Homemade, press_ctrl_c
from edits import AGENT, MAIN, number
from simple_dqn_torch import DeepQNetwork


FILES = {'network.pt', 'scores.txt', 'learning_curve.png', 'recording.gif'}


def check_files(folder, *names, files=FILES):
    """Runs of these names left these files, with weights, and nothing else."""
    assert {path.name for path in (folder / 'runs').iterdir()} == set(names)
    assert {path.suffix for path in folder.iterdir()} <= {'.py', ''}
    for run in (folder / 'runs').iterdir():
        assert {path.name for path in run.iterdir()} == set(files)
        if files:
            assert T.load(run / 'network.pt')['fc2.weight'].shape == (256, 256)


@pytest.fixture(scope='module')
def three(play):
    """A run of three games."""
    return play(3, LANDER)


def test_a_run_prints_its_games_and_leaves_network_curve_and_recording(three):
    number, score, _, epsilon = three.games.T
    np.testing.assert_array_equal(number, [1, 2, 3])
    np.testing.assert_allclose(score, three.main.scores, atol=0.0051)
    first, *_, saved, last = three.output.splitlines()
    folder = Path('runs', 'LunarLander')
    assert first == f'saving to {folder}; Ctrl-C stops after the running game'
    assert saved == f'saved network.pt, scores.txt, learning_curve.png in {folder}'
    recording = re.escape(str(folder / 'recording.gif'))
    assert re.fullmatch(rf'{recording} \(a game, score {NUMBER}\)', last)
    check_files(three.folder, 'LunarLander')
    main, kept = three.main, np.loadtxt(three.folder / folder / 'scores.txt')
    np.testing.assert_array_equal(kept.T, [main.scores, main.eps_history])
    lines = {line.get_label(): line.get_xydata() for axes in three.figures[0].axes
             for line in axes.lines}
    assert 'solved: 200' in lines
    for label, values in ('epsilon', epsilon), ('score', score):
        np.testing.assert_allclose(lines[label].T, [number, values], atol=0.0051)


@pytest.mark.parametrize('edit, n_games, last_rate', [
    (number('seed', 0), 4, 0.001 / 16),  # nothing but the seed
    (number('lr', 0.003), 4, 0.003 / 16),
    ((AGENT, 'self.parameters(), lr=lr', 'self.parameters(), lr=0.003'),
     4, 0.003 / 16),
    ((AGENT, 'self.lr = lr', 'self.lr = 0.003'), 4, 0.003 / 16),
    ((MAIN, 'range(n_games)', 'range(1)'), 1, 0.001),  # that of the first game
    ((MAIN, 'range(n_games)', 'range(6)'), 6, 0)])  # more games than n_games
def test_the_learning_rate_falls_from_wherever_it_is_edited_to_0(
        play, edit, n_games, last_rate):
    run = play(4, Homemade(), edits=[edit])
    rate = run.main.agent.Q_eval.optimizer.param_groups[0]['lr']
    assert len(run.main.scores) == n_games and rate == pytest.approx(last_rate)


def test_the_rate_falls_on_the_optimizer_that_learns_even_if_it_is_replaced(play):
    sgd = 'agent.Q_eval.optimizer = T.optim.SGD(agent.Q_eval.parameters(), lr=0.01)'
    loop = 'for i in until_ctrl_c('
    run = play(4, Homemade(), edits=[(MAIN, loop, f'{sgd}\n    {loop}')])
    optimizer = run.main.agent.Q_eval.optimizer
    assert isinstance(optimizer, T.optim.SGD)
    assert optimizer.param_groups[0]['lr'] == pytest.approx(0.01 / 16)


def test_without_a_seed_the_script_runs(play):
    runs = [play(1, Homemade(), seed=None) for _ in range(2)]
    first, second = (run.main.agent.Q_eval.fc1.weight for run in runs)
    assert not T.equal(first, second)
    check_files(runs[0].folder, 'Homemade')


def test_the_recorded_game_is_that_of_the_saved_network(three):
    network = DeepQNetwork(0.0, (8,), 256, 256, 4)
    network.load_state_dict(T.load(three.folder / 'runs/LunarLander/network.pt'))
    env, score, over = eval(LANDER), 0, False
    observation, _ = env.reset(seed=0)
    while not over:
        action = int(network(T.as_tensor(observation).to(network.device)).argmax())
        observation, reward, terminated, truncated, _ = env.step(action)
        score, over = score + reward, terminated or truncated
    assert f'(a game, score {score:.2f})' in three.output
    assert three.main.agent.epsilon == 0


def test_another_process_on_any_number_of_threads_plays_the_same_games(three, start):
    with start(3) as process:
        output, errors = process.communicate()
    assert (process.returncode, errors, output) == (0, '', three.output)
    assert three.n_threads == 1


def test_another_game_is_one_edited_line_and_each_run_has_its_own_files(play):
    first = play(3, "gym.make('CartPole-v1')")
    scores = first.games[:, 1]
    assert len(scores) == 3 and scores.min() >= 8  # a pole takes that long to fall
    # A fallen pole ends each game for good: as many terminal states as games.
    memory = first.main.agent.terminal_memory
    assert memory.sum() == 3 and np.flatnonzero(memory)[-1] == scores.sum() - 1
    second = play(3, "gym.make('CartPole-v1')", seed=1, folder=first.folder)
    assert f'in {Path("runs", "CartPole-2")}\n' in second.output
    check_files(first.folder, 'CartPole', 'CartPole-2')


@pytest.fixture(scope='module')
def short_games(play):
    """105 games of LunarLander, each cut off after 9 steps; seed 1, rate 0.003."""
    return play(105, "gym.make('LunarLander-v3', max_episode_steps=9)", seed=1,
                edits=[number('lr', 0.003)])


def test_steps_follow_each_other_and_a_time_limit_is_no_end(short_games):
    agent = short_games.main.agent
    assert agent.mem_cntr == 105 * 9 and not agent.terminal_memory.any()
    states, new_states = (memory[:105 * 9].reshape(105, 9, 8) for memory in (
        agent.state_memory, agent.new_state_memory))
    np.testing.assert_array_equal(new_states[:, :-1], states[:, 1:])
    # A game starts somewhere new, not where the one before was cut off.
    assert (new_states[:-1, -1] != states[1:, 0]).any(axis=1).all()
    number, scores, averages, epsilon = short_games.games.T
    np.testing.assert_allclose(averages[-1], scores[-100:].mean(), atol=0.011)
    rewards = agent.reward_memory[:105 * 9].reshape(105, 9).sum(axis=1)
    np.testing.assert_allclose(rewards, scores, atol=0.01)
    steps = np.maximum(9 * number - 63, 0)  # of learning, from the 64th of a game on
    np.testing.assert_allclose(epsilon, 1 - 5e-4 * steps, atol=0.0051)


def test_the_seed_is_that_of_the_game_and_of_the_agent(short_games):
    agent, env = short_games.main.agent, gym.make('LunarLander-v3')
    env.reset(seed=1)
    for i in range(2):  # one reset a game, drawing on from the seed
        observation, _ = env.reset()
        np.testing.assert_array_equal(agent.state_memory[i * 9], observation)
        for action in agent.action_memory[i * 9:i * 9 + 9]:
            env.step(action)
    rng, actions = np.random.default_rng(np.random.SeedSequence(1).spawn(1)[0]), []
    for _ in range(63):  # no batch is drawn yet, and epsilon is 1
        rng.random()
        actions.append(rng.choice(4))
    np.testing.assert_array_equal(agent.action_memory[:63], actions)


def test_an_end_on_the_last_permitted_step_is_an_end(play):
    run = play(1, "gym.make('Homemade-v0', length=5, max_episode_steps=5)")
    ends = run.main.agent.terminal_memory[:6]
    np.testing.assert_array_equal(ends, [0, 0, 0, 0, 1, 0])


def test_arrays_changed_in_place_and_rewards_of_eight_bits_are_trained_right(play):
    game = Homemade(on_step=lambda game: np.int8(-100))
    run = play(2, game)
    rows = np.outer([0, 1, 2, 3, 4] * 2, [1, 0.1])
    agent = run.main.agent
    np.testing.assert_allclose(agent.state_memory[:10], rows, 1e-6)
    np.testing.assert_allclose(agent.new_state_memory[:10], rows + [1, 0.1], 1e-6)
    assert run.main.scores == [-500, -500]
    assert 'recording.gif (a game, score -500.00)' in run.output
    check_files(run.folder, 'Homemade')
    assert game.closed


def break_down():
    raise RuntimeError('broken')


@pytest.mark.parametrize('event, error', [
    (break_down, "RuntimeError('broken')"),
    (lambda: float('nan'), "ValueError('reward must be finite, got nan')"),
    (lambda: press_ctrl_c(2), 'KeyboardInterrupt()'),
    (lambda: press_ctrl_c(1), 'None')])
@pytest.mark.parametrize('n_finished', [0, 1, 2])
def test_whatever_ends_a_run_no_more_than_the_running_game_is_lost(
        play, event, error, n_finished, capsys):
    before = []  # the weights in the file as each game begins

    def on_step(game):
        if game.array[0] == 1:
            file = Path('runs/Homemade/network.pt')
            before.append(T.load(file)['fc3.bias'] if file.exists() else None)
        if game.n_games == n_finished + 2 and game.array[0] == 3:  # one is the seed's
            return event()
        return None

    run = play(9, Homemade(length=70, on_step=on_step))
    assert repr(run.error) == error
    stopped_later = error == 'None'
    assert len(run.games) == n_finished + stopped_later
    file = run.folder / 'runs/Homemade/network.pt'
    if len(run.games):
        scores = np.loadtxt(file.with_name('scores.txt'), ndmin=2)[:, 0]
        np.testing.assert_array_equal(scores, run.games[:, 1])
    pressed = error in ('None', 'KeyboardInterrupt()')
    assert capsys.readouterr().err == (
        '\nstopping after this game; Ctrl-C again breaks off at once\n' * pressed)
    if stopped_later:
        check_files(run.folder, 'Homemade')
        assert run.main.x == [*range(1, n_finished + 2)]
        for name, weight in run.main.agent.Q_eval.state_dict().items():
            assert T.equal(T.load(file)[name], weight)
    else:
        check_files(run.folder, 'Homemade',
                    files=['network.pt', 'scores.txt'] if n_finished else [])
        assert n_finished == 0 or T.equal(T.load(file)['fc3.bias'], before[-1])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class NeverDrawn(Homemade):
    """Sets up its drawing only if it is made with a render mode."""

    def render(self):
        return self.pictures[0]


@pytest.mark.parametrize('game, said', [
    (NeverDrawn(), "AttributeError(\"'NeverDrawn' object has no attribute 'pictures'"),
    (type('Blind', (Homemade,), {'render': lambda self: None})(), 'NoneType'),
    (type('Odd', (Homemade,), {
        'metadata': {'render_modes': ['rgb_array'], 'render_fps': 'slow'}})(), 'str')])
def test_a_game_that_cannot_be_drawn_ends_its_run_well(play, game, said):
    run = play(1, game)
    *_, saved, last = run.output.splitlines()
    name = type(game).__name__
    assert run.error is None and game.closed and saved.startswith('saved network.pt')
    assert last.startswith(f'no {Path("runs", name, "recording.gif")}: ')
    assert said in last and "render_mode='rgb_array' inside gym.make(...)" in last
    check_files(run.folder, name, files=FILES - {'recording.gif'})


def test_an_error_in_the_recorded_game_is_told_after_all_else_is_saved(play):
    run = play(1, Homemade(), edits=[
        (AGENT, 'check_observation(self, observation)',
         'assert self.epsilon > 0, "the mask is missing"')])
    assert repr(run.error) == "AssertionError('the mask is missing')"
    assert run.output.splitlines()[-1].startswith('saved network.pt, scores.txt')
    check_files(run.folder, 'Homemade', files=FILES - {'recording.gif'})


SPACE = 'env.action_space must be Discrete(n) of gymnasium and start at 0, got '


@pytest.mark.parametrize('make, wanted', [
    ("gym.make('LunarLander-v3', continuous=True)", f'{SPACE}Box(-1.0, 1.0, (2,)'),
    ("gym.make_vec('CartPole-v1', num_envs=2)", f'{SPACE}MultiDiscrete([2 2])'),
    (Homemade(action_space=gym.spaces.Discrete(2, start=1)),
     f'{SPACE}Discrete(2, start=1)'),
    (Homemade(action_space=Discrete(2)),  # not gymnasium's
     f'{SPACE}Discrete(2) of conftest')])
def test_a_game_that_cannot_be_trained_is_refused(play, make, wanted):
    run = play(9, make)
    assert str(run.error).startswith(wanted) and run.output == ''


def test_a_run_that_cannot_be_saved_ends_and_leaves_no_part(play):
    r = pytest.importorskip('resource')  # not on Windows
    soft, hard = r.getrlimit(r.RLIMIT_FSIZE)
    # No file can be larger, as if the disk were full.
    r.setrlimit(r.RLIMIT_FSIZE, (250_000, hard))
    try:
        run = play(9, LANDER)
    finally:
        r.setrlimit(r.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(run.error, OSError) and run.games.size == 0
    check_files(run.folder, 'LunarLander', files=())  # no part is left


@pytest.mark.skipif(sys.platform == 'win32', reason='it has other signals')
@pytest.mark.parametrize('ended_by', ['SIGINT', 'SIGKILL'])
def test_a_stopped_program_keeps_the_games_played(start, tmp_path, ended_by):
    lines = []
    with start(500) as process:
        for i, line in enumerate(process.stdout):
            lines.append(line)
            if i == 2:  # two games are over
                process.send_signal(getattr(signal, ended_by))
        process.communicate()
    assert i < 50  # each line comes at once, though piped
    folder = tmp_path / 'runs/LunarLander'
    scores = np.loadtxt(folder / 'scores.txt', ndmin=2)[:, 0]
    printed = re.findall(rf'^episode .* score {NUMBER} av', ''.join(lines), re.M)
    if ended_by == 'SIGINT':
        assert process.returncode == 0 and 'recording.gif (a game' in line
        check_files(tmp_path, 'LunarLander')
        assert len(scores) == len(printed)
    np.testing.assert_allclose(scores[:len(printed)], np.float64(printed), atol=0.0051)
    assert len(scores) - len(printed) in (0, 1)  # it is saved before it is printed
    assert T.load(folder / 'network.pt')
