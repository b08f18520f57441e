"""The main script, edited as a reader edits it and run as a reader runs it."""
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import gymnasium as gym
import numpy as np
import pytest
import torch as T
from matplotlib.figure import Figure

from conftest import LANDER, NUMBER, Homemade, press_ctrl_c
from edits import AGENT, MAIN, SCRIPTS, number
from simple_dqn_torch import DeepQNetwork

FILES = {'code', 'network.pt', 'scores.txt', 'learning_curve.png', 'recording.gif'}
LOOP = 'for i in until_ctrl_c('
SGD = 'agent.Q_eval.optimizer = T.optim.SGD(agent.Q_eval.parameters(), lr=0.01)'


def check_files(folder, name, files=FILES):
    """A run of this name left these files, with weights, and nothing else."""
    assert {path.suffix for path in folder.iterdir()} <= {'.py', ''}
    run, = (folder / 'runs').iterdir()
    assert run.name == name and {path.name for path in run.iterdir()} == set(files)
    assert 'fc2.weight' in T.load(run / 'network.pt')


@pytest.fixture(scope='module')
def three(play):
    """A run of three games."""
    return play(3, LANDER)


def test_a_run_prints_its_games_and_leaves_network_curve_and_recording(three):
    numbers, score, _, epsilon = three.games.T
    np.testing.assert_array_equal(numbers, [1, 2, 3])
    np.testing.assert_allclose(score, three.main.scores, atol=0.0051)
    first, *_, saved, last = three.output.splitlines()
    folder = Path('runs', 'LunarLander')
    assert first == f'3 games, saving to {folder}; Ctrl-C stops after the running game'
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
        np.testing.assert_allclose(lines[label].T, [numbers, values], atol=0.0051)


@pytest.mark.parametrize('edit, n_games, last_rate', [
    (number('lr', 0.003), 4, 0.003 / 16),
    ((AGENT, 'self.parameters(), lr=lr', 'self.parameters(), lr=0.003'),
     4, 0.003 / 16),
    ((MAIN, LOOP, f'{SGD}\n    {LOOP}'), 4, 0.01 / 16),
    ((MAIN, 'range(n_games)', 'range(6)'), 6, 0)])  # more games than n_games
def test_the_learning_rate_falls_from_wherever_it_is_edited_to_0(
        play, edit, n_games, last_rate):
    run = play(4, Homemade(), edits=[edit])
    rate = run.main.agent.Q_eval.optimizer.param_groups[0]['lr']
    assert len(run.main.scores) == n_games and rate == pytest.approx(last_rate)


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


def test_another_game_is_one_edited_line(play):
    run = play(3, "gym.make('CartPole-v1')")
    scores = run.games[:, 1]
    assert len(scores) == 3 and scores.min() >= 8  # a pole takes that long to fall
    # A fallen pole ends each game for good: as many terminal states as games.
    memory = run.main.agent.terminal_memory
    assert memory.sum() == 3 and np.flatnonzero(memory)[-1] == scores.sum() - 1
    check_files(run.folder, 'CartPole')


@pytest.fixture(scope='module')
def short_games(play):
    """105 games of LunarLander, each cut off after 9 steps; seed 1."""
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
    numbers, scores, averages, epsilon = short_games.games.T
    np.testing.assert_allclose(averages[-1], scores[-100:].mean(), atol=0.011)
    rewards = agent.reward_memory[:105 * 9].reshape(105, 9).sum(axis=1)
    np.testing.assert_allclose(rewards, scores, atol=0.01)
    n_learned = np.maximum(9 * numbers - 63, 0)  # from the 64th step on
    expected = np.maximum(1 - agent.eps_dec * n_learned, agent.eps_min)
    np.testing.assert_allclose(epsilon, expected, atol=0.0051)


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
    np.testing.assert_array_equal(agent.action_memory[:len(actions)], actions)


def test_an_end_on_the_last_permitted_step_is_an_end(play):
    run = play(1, "gym.make('Homemade-v0', length=5, max_episode_steps=5)")
    ends = run.main.agent.terminal_memory[:6]
    np.testing.assert_array_equal(ends, [0, 0, 0, 0, 1, 0])


def test_arrays_that_the_game_changes_in_place_are_stored_as_they_were(play):
    game = Homemade()
    agent = play(2, game).main.agent
    rows = np.outer([0, 1, 2, 3, 4] * 2, [1, 0.1])
    np.testing.assert_allclose(agent.state_memory[:10], rows, 1e-6)
    np.testing.assert_allclose(agent.new_state_memory[:10], rows + [1, 0.1], 1e-6)
    assert game.closed


@pytest.mark.parametrize('reward', [  # five of the first two are too many for the type
    np.int8(-100), np.float16(1001), T.tensor(7.5), T.tensor([7.5])])
def test_a_reward_of_another_kind_is_a_number_in_score_file_and_recording(play, reward):
    run = play(1, Homemade(length=5, on_step=lambda game: reward))
    kept = np.loadtxt(run.folder / 'runs/Homemade/scores.txt')
    score = 5 * float(reward)
    assert run.error is None and run.main.scores == [score] and kept[0] == score
    assert f'recording.gif (a game, score {score:.2f})' in run.output
    assert (run.main.agent.reward_memory[:5] == float(reward)).all()


@pytest.mark.parametrize('event, error', [
    (lambda: 1 / 0, ZeroDivisionError), (lambda: press_ctrl_c(2), KeyboardInterrupt)])
def test_whatever_breaks_a_run_off_no_more_than_the_running_game_is_lost(
        play, event, error):
    def on_step(game):
        if game.n_games == 4 and game.array[0] == 3:  # in the third; one is the seed's
            event()

    whole = play(2, Homemade(length=70), edits=[number('n_games', 9),
                                                (MAIN, 'range(n_games)', 'range(2)')])
    run = play(9, Homemade(length=70, on_step=on_step))
    assert type(run.error) is error and len(run.games) == 2
    file = run.folder / 'runs/Homemade/network.pt'
    for name, weight in whole.main.agent.Q_eval.state_dict().items():
        assert T.equal(T.load(file)[name], weight)
    scores = file.with_name('scores.txt').read_text()
    assert scores == (whole.folder / 'runs/Homemade/scores.txt').read_text()


def test_a_network_that_is_refused_costs_no_score(play):
    run = play(5, Homemade(), edits=[
        (MAIN, 'score = 0.0', 'score = 0.0; agent.Q_eval.fc3.bias.data[i] = np.nan')])
    assert 'NaN or infinite' in str(run.error) and len(run.games) == 0
    assert np.loadtxt(run.folder / 'runs/Homemade/scores.txt', ndmin=2)[:, 0] == [10]


def test_a_curve_grows_and_changes_nothing_whatever_goes_wrong(play, monkeypatch):
    def fail_once(figure, *args, **kwargs):
        n_drawn.append(len(n_drawn))
        if n_drawn[-1] == 1:
            raise OSError('no space')
        savefig(figure, *args, **kwargs)
        curves.append(len(figure.axes[1].lines[0].get_xdata()))

    n_drawn, curves, savefig = [], [], Figure.savefig
    plain = play(60, Homemade(), edits=[
        (MAIN, re.compile(r' *if \(i \+ 1\) % 25 == 0:.*?env\)', re.S), '')])
    monkeypatch.setattr(Figure, 'savefig', fail_once)
    run = play(60, Homemade())
    assert run.error is None and n_drawn == [0, 1, 2] and curves == [25, 60]
    for name in 'scores.txt', 'network.pt', 'recording.gif', 'learning_curve.png':
        kept = [(folder / 'runs/Homemade' / name).read_bytes()
                for folder in (plain.folder, run.folder)]
        assert kept[0] == kept[1], name


def test_a_curve_lies_over_those_of_other_runs_as_far_as_they_can_be_read(
        play, tmp_path):
    other_runs = {'Homemade-video': '1\n2\n', 'Homemade-2': '-5.5 0.5\n-6.5 0.4\n-',
                  'Homemade-3': '', 'Homemade-4': 'score\n1\n', 'Other': '1 0.5\n',
                  'Homemades': '1 0.5\n', 'Homemade-5': 'inf 0.5\nnan 0.5\n3 0.5\n'}
    for name, text in other_runs.items():
        (tmp_path / 'runs' / name).mkdir(parents=True)
        (tmp_path / 'runs' / name / 'scores.txt').write_text(text)
    (tmp_path / 'runs/Homemade-6/scores.txt').mkdir(parents=True)
    (tmp_path / 'runs/Homemade-7').mkdir()
    (tmp_path / 'runs/Homemade-7/scores.txt').write_bytes(b'\xff\xfe1')
    run = play(2, Homemade(), folder=tmp_path)
    assert run.error is None
    figure = run.figures[-1]
    behind = {line.get_label(): line.get_ydata() for line in figure.axes[1].lines
              if line.get_zorder() == 1}
    assert set(behind) == {'Homemade-video', 'Homemade-2', 'Homemade-5'}
    np.testing.assert_array_equal(behind['Homemade-video'], [1, 1.5])
    np.testing.assert_array_equal(behind['Homemade-2'], [-5.5, -6])
    assert {text.get_text() for text in figure.legends[1].get_texts()} == set(behind)


def scripts(folder):
    """The text of every script in a folder."""
    return {path.name: path.read_text() for path in folder.glob('*.py')}


def test_a_run_keeps_its_code_and_is_played_again_from_there(play, tmp_path):
    (tmp_path / 'own.py').write_text('"""A module of the reader\'s own."""')
    first = play(2, "gym.make('CartPole-v1')", folder=tmp_path, edits=[
        (MAIN, 'import numpy as np', 'import numpy as np, own'),
        number('fc2_dims', 32, AGENT)])
    run = tmp_path / 'runs/CartPole'
    assert first.error is None and scripts(run / 'code') == scripts(tmp_path)
    for name in scripts(tmp_path):
        (tmp_path / name).write_text('whatever it says by now')
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    subprocess.run([sys.executable, run / 'code' / MAIN], cwd=elsewhere, check=True,
                   capture_output=True)
    again = elsewhere / 'runs/CartPole'
    assert scripts(again / 'code') == scripts(run / 'code')
    assert (again / 'scores.txt').read_text() == (run / 'scores.txt').read_text()


def test_code_is_what_was_imported(play, tmp_path, monkeypatch, capsys):
    (tmp_path / 'not_a_file.py').mkdir()
    (tmp_path / 'not_imported.py').write_text('')
    assert play(1, Homemade(), folder=tmp_path).error is None
    assert set(scripts(tmp_path / 'runs/Homemade/code')) == set(SCRIPTS)
    # A script in another folder, which imports utils, and one that is no file.
    own = tmp_path / 'elsewhere/own.py'
    own.parent.mkdir()
    own.write_text('from utils import new_folder')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'utils')
    main = ModuleType('__main__')
    monkeypatch.setitem(sys.modules, '__main__', main)
    said = ' has no main script, since what runs is not a file\n'
    for file, kept, said in [(str(own), {'own.py', 'utils.py'}, ''),
                             ('<stdin>', {'utils.py'}, said)]:
        main.__file__ = file
        exec(own.read_text(), vars(main))
        code = main.new_folder(gym.make('CartPole-v1')) / 'code'
        assert set(scripts(code)) == kept
        assert capsys.readouterr().out == (f'{code}{said}' if said else '')


@pytest.mark.parametrize('error', [OSError('no space'), KeyboardInterrupt()])
def test_a_run_whose_code_cannot_be_kept_ends_before_its_first_game(
        play, error, monkeypatch):
    def fail(*args):
        raise error

    monkeypatch.setattr(shutil, 'copyfile', fail)
    run = play(1, Homemade())
    assert run.error is error and run.output == ''
    assert list((run.folder / 'runs').iterdir()) == []


class NeverDrawn(Homemade):
    """Sets up its drawing only if it is made with a render mode."""

    def render(self):
        return self.pictures[0]


def test_a_game_that_cannot_be_drawn_ends_its_run_well(play):
    run = play(1, NeverDrawn())
    *_, saved, last = run.output.splitlines()
    assert run.error is None and saved.startswith('saved network.pt')
    assert last.startswith(f'no {Path("runs", "NeverDrawn", "recording.gif")}: ')
    assert "object has no attribute 'pictures'" in last
    assert "render_mode='rgb_array' inside gym.make(...)" in last
    check_files(run.folder, 'NeverDrawn', files=FILES - {'recording.gif'})


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
     f'{SPACE}Discrete(2, start=1) of gymnasium.spaces.discrete')])
def test_a_game_that_cannot_be_trained_is_refused(play, make, wanted):
    run = play(9, make)
    assert str(run.error).startswith(wanted) and run.output == ''


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
