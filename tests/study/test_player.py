"""What each row of the study plays, looked at while it plays; and its line."""
import os
import re
import shutil
import subprocess

import gymnasium as gym
import numpy as np
import pytest
from matplotlib.figure import Figure
from torch.optim.optimizer import register_optimizer_step_pre_hook

import player
from player import LANDER
from reference import norm, weights


class Numbers(gym.Env):
    """Shows three numbers from -3 to 5; an action takes one of them as its reward.

    lengths: of each game, in steps. A time limit cuts off every second game, beginning
    with the second; the others end.
    """

    observation_space = gym.spaces.Box(-3, 5, (3,), np.float32)
    action_space = gym.spaces.Discrete(3)

    def __init__(self, lengths):
        self.lengths, self.n_games = lengths, 0

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.length, self.n_steps = self.lengths[self.n_games], 0
        self.n_games += 1
        self.numbers = np.array([-3, 5, 1], dtype=np.float32)
        return self.numbers, {}

    def step(self, action):
        assert self.n_steps < self.length, 'the game is over'
        reward = float(self.numbers[action])
        self.numbers = self.np_random.uniform(-3, 5, 3).astype(np.float32)
        self.n_steps += 1
        over, cut_off = self.n_steps == self.length, self.n_games % 2 == 0
        return self.numbers, reward, over and not cut_off, over and cut_off, {}


@pytest.fixture
def no_plot(monkeypatch):
    """Drawing takes longer than the short runs here."""
    monkeypatch.setattr(Figure, 'savefig', lambda *args, **kwargs: None)


def network(w, states, normed):
    """The network in numpy, with layer normalisation or without."""
    for layer in 'fc1', 'fc2':
        states = states @ w[f'{layer}.weight'].T + w[f'{layer}.bias']
        states = np.maximum(norm(states)[0] if normed else states, 0)
    return states @ w['fc3.weight'].T + w['fc3.bias']


def look_at(make_agent):
    """How an agent learns, in eight steps of learning on the same 64 transitions.

    normed: whether the hidden layers are normalised. gradient: whether the target has
    one. ages: the targets of each step are those of the network as it was so many steps
    ago; 0: as it is.
    """
    rng = np.random.default_rng(5)
    states, new_states = rng.normal(size=(2, 64, 3))
    actions, rewards = rng.integers(3, size=64), rng.normal(size=64)
    agent = make_agent(0.99, 1.0, 0.01, (3,), 64, 3, eps_end=0.01, seed=1)
    for state, action, reward, state_ in zip(states, actions, rewards, new_states):
        agent.store_transition(state, action, reward, state_, False)
    agent.mem_size = 64  # so that each batch is all of them, in any order
    pairs, before = [], []
    agent.Q_eval.loss.register_forward_pre_hook(lambda _, pair: pairs.append(pair))
    for agent.mem_cntr in 64, 65, 999, 1000, 1001, 1500, 1999, 2000:
        before.append(weights(agent))
        agent.learn()

    def are(values, tensor):
        return np.allclose(np.sort(values), tensor.detach().cpu().sort()[0], atol=1e-4)

    normed, = [normed for normed in (True, False) if are(
        network(before[0], states, normed)[np.arange(64), actions], pairs[0][1])]
    targets = [rewards + 0.99 * network(w, new_states, normed).max(axis=1)
               for w in before]
    ages = [i - j for i, (target, _) in enumerate(pairs) for j in range(i + 1)
            if are(targets[j], target)]
    return dict(normed=normed, gradient=pairs[0][0].requires_grad, ages=ages)


# Of each row: the learning rate of the first and last of two games; the steps stored as
# ends (step 69 is a time-out, step 79 an end); the memory's size; the lowest and the
# highest number in a state; and what look_at sees.
PROJECT = dict(rates=[0.001, 0.00025], ends=[79], memory=100_000, states=[-3, 5],
               normed=True, gradient=False, ages=[0] * 8)
VIDEO = {**PROJECT, 'rates': [0.001, 0.001], 'ends': [69, 79], 'normed': False,
         'gradient': True}
EXPECTED = {
    'video-0.003': {**VIDEO, 'rates': [0.003, 0.003]},
    'video-0.001': VIDEO,
    'held-target': {**VIDEO, 'gradient': False},
    'time-outs': {**VIDEO, 'gradient': False, 'ends': [79]},
    'norm': {**PROJECT, 'rates': [0.001, 0.001]},
    'defaults': PROJECT,
    'gradient': {**PROJECT, 'gradient': True},
    'done': {**PROJECT, 'ends': [69, 79]},
    'no-norm': {**PROJECT, 'normed': False},
    # Copied at first, and with 1000 and 2000 steps in the memory.
    'target': {**PROJECT, 'normed': False, 'ages': [0, 1, 2, 0, 1, 2, 3, 0]},
    'no-replay': {**PROJECT, 'memory': 64},
    'rescaled': {**PROJECT, 'states': [-1, 1]},
}


@pytest.mark.parametrize('name', player.VARIANTS)
def test_each_variant_is_what_its_row_says_and_nothing_else(name, play, no_plot):
    rates = []
    hook = register_optimizer_step_pre_hook(
        lambda optimizer, *_: rates.append(optimizer.param_groups[0]['lr']))
    try:
        run = play(2, Numbers([1, 70, 10]), edits=player.VARIANTS[name].edits)
    finally:
        hook.remove()
    agent = run.main.agent
    kept = {step: step % len(agent.state_memory) for step in range(16, 80)}
    assert dict(
        rates=[rates[0], rates[-1]],
        ends=[step for step, i in kept.items() if agent.terminal_memory[i]],
        memory=len(agent.state_memory),
        states=[agent.state_memory.min(), agent.state_memory.max()],
        **look_at(run.main.Agent)) == EXPECTED[name]


def score_of(w, normed, env, seed):
    """The score of a whole game without random actions."""
    (state, _), score, over = env.reset(seed=seed), 0, False
    while not over:
        action = network(w, np.array([state], dtype=float), normed).argmax()
        state, reward, terminated, truncated, _ = env.step(int(action))
        score, over = score + reward, terminated or truncated
    return score


def test_a_run_becomes_a_line_of_its_rounded_scores(play, tmp_path, monkeypatch):
    for name, value in [('RUNS', tmp_path / 'runs.txt'), ('N_GAMES', 2),
                        ('FINAL_SEEDS', range(10000, 10002)),
                        ('commit', lambda: 'c0ffee1+' if not played else 'too late')]:
        monkeypatch.setattr(player, name, value)
    played, check_output = [], subprocess.check_output
    monkeypatch.setattr(subprocess, 'check_output', lambda *args, **kwargs: (
        played.append(args), check_output(*args, **kwargs))[1])
    player.RUNS.write_text('# a machine\n')
    player.run('video-0.003', LANDER, 71)

    same = play(2, "gym.make('LunarLander-v3')", seed=71,
                edits=player.VARIANTS['video-0.003'].edits)
    finals = [score_of(weights(same.main.agent), False, gym.make(LANDER), seed)
              for seed in (10000, 10001)]
    scores = [*same.main.scores, *finals]
    assert any(int(score) != round(score) for score in scores)
    rounded = [f'{score:.0f}' for score in scores]
    steps = same.main.agent.mem_cntr
    assert player.RUNS.read_text().splitlines() == [
        '# a machine', f'video-0.003 {LANDER} 71 c0ffee1+ {steps} {" ".join(rounded)}']
    assert player.finished_runs() == {('video-0.003', LANDER, 71): (
        [float(score) for score in rounded[:2]],
        [float(score) for score in rounded[2:]], steps)}


def test_a_run_of_too_few_games_is_no_line(tmp_path, monkeypatch):
    monkeypatch.setattr(player, 'RUNS', tmp_path / 'runs.txt')
    monkeypatch.setattr(player, 'commit', lambda: 'c0ffee1')
    monkeypatch.setattr(subprocess, 'check_output', lambda *args, **kwargs: (
        'steps 9\n' + 'episode 1 score 5.00 \n' * 500 + 'greedy 5.00\n' * 99))
    with pytest.raises(AssertionError):
        player.run('defaults', LANDER, 71)
    assert not player.RUNS.exists()


def test_a_run_that_fails_is_told(tmp_path, monkeypatch):
    def fail(*job):
        raise OSError(str(job))

    monkeypatch.setattr(player, 'RUNS', tmp_path / 'runs.txt')
    monkeypatch.setattr(player, 'RUNS_TO_PLAY', [('defaults', LANDER, 71)])
    monkeypatch.setattr(player, 'run', fail)
    player.RUNS.write_text('')
    with pytest.raises(OSError, match='71'):
        player.play_missing()


def test_what_is_missing_is_played_under_the_name_of_the_machine(tmp_path, monkeypatch):
    *done, first, second = player.RUNS_TO_PLAY
    lines = [f'# {player.this_machine()}', '# another machine',
             *(f'{name} {game} {seed} - 1 0' for name, game, seed in done)]
    played = []
    monkeypatch.setattr(player, 'RUNS', tmp_path / 'runs.txt')
    monkeypatch.setattr(player, 'run', lambda *job: played.append(job))
    player.RUNS.write_text('\n'.join(lines) + '\n')
    for _ in range(2):
        player.play_missing()
    assert sorted(played) == sorted([first, second] * 2)
    assert player.RUNS.read_text().splitlines() == [*lines, lines[0]]
    monkeypatch.setattr(player, 'RUNS_TO_PLAY', done)
    monkeypatch.setattr(player, 'this_machine', lambda: 'a third machine')
    player.play_missing()
    assert player.RUNS.read_text().splitlines() == [*lines, lines[0]]


@pytest.mark.skipif(not shutil.which('git'), reason='there is no git')
def test_commit_is_that_of_the_repository_and_plus_means_edited_code(
        tmp_path, monkeypatch):
    def git(*arguments):
        return subprocess.check_output(
            ['git', '-c', 'user.name=a', '-c', 'user.email=a@b', *arguments],
            cwd=tmp_path, text=True).strip()

    for name in [name for name in os.environ if name.startswith('GIT_')]:
        monkeypatch.delenv(name)  # in a hook, it would name this repository
    monkeypatch.setattr(player, 'ROOT', tmp_path)
    (tmp_path / 'tests' / 'study').mkdir(parents=True)
    not_code = ['README.md', 'tests/study/runs.txt', 'tests/test_agent.py',
                'tests/study/results.py']
    code = ['utils.py', 'tests/edits.py', 'tests/study/player.py']
    git('init', '-q')
    for name in [*not_code, *code]:
        (tmp_path / name).write_text('1')
    git('add', '.')
    git('-c', 'commit.gpgsign=false', 'commit', '-q', '-m', 'one')
    whole = git('rev-parse', 'HEAD')
    for name in [*not_code, 'notes.txt', *code, 'not_tracked.py']:
        (tmp_path / name).write_text('two')
        short = player.commit()
        assert len(short) >= 7 and whole.startswith(short.removesuffix('+'))
        assert short.endswith('+') == (name in [*code, 'not_tracked.py'])
        git('stash', '-q', '--include-untracked')


def test_lines_of_the_file_are_whole_and_each_run_is_there_once():
    lines = player.RUNS.read_text(encoding='utf-8').splitlines()
    jobs = []
    for line in lines:
        if not line.startswith('# '):
            name, game, seed, commit, steps, *scores = line.split(' ')
            jobs.append((name, game, int(seed)))
            assert re.fullmatch(r'-|[0-9a-f]{7,}\+?', commit) and steps.isdigit()
            assert len([int(score) for score in scores]) == 600
    assert len(jobs) == len(set(jobs)) and set(jobs) <= set(player.RUNS_TO_PLAY)
