"""Plays the runs of the study. README.md says what came out.

    python tests/study/player.py     # plays every run that is missing

A run is main_lunar_lander.py itself, edited the way a reader edits it, with 100 games
of the final network added. It takes minutes; two go on at a time, each with a core of
its own. A finished run is a line of runs.txt and is not played again: name, game, seed,
commit, steps of training, 500 scores of training, 100 of the final network. A + behind
the commit: code was edited since; - in its place: it was not noted.

A line with # names the machine that played what follows, such as
# 2026-11-28, AMD EPYC, Python 3.11.7, torch 2.13.0+cpu, numpy 2.4.6, gymnasium 1.4.0
Before you play runs on another machine, or with other packages, add one.
"""
import re
import subprocess
import sys
import tempfile
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
from edits import AGENT, MAIN, ROOT, games, number, write_edited  # noqa: E402

RUNS = Path(__file__).resolve().with_name('runs.txt')
LANDER, POLE, ACROBOT = 'LunarLander-v3', 'CartPole-v1', 'Acrobot-v1'
CAR, LAKE, CLIFF, TAXI = 'MountainCar-v0', 'FrozenLake-v1', 'CliffWalking-v1', 'Taxi-v4'
FOUR = [LANDER, POLE, ACROBOT, CAR]
N_GAMES, SEEDS = 500, range(70, 80)
# The scripts' numbers, with which every run was played; a row may change some, and each
# run has its own seed: 77 is that of the first page's curve.
PLAYED_WITH = dict(gamma=0.99, epsilon=1.0, batch_size=64, eps_end=0.01, lr=0.001,
                   max_mem_size=100000, eps_dec=5e-4, fc1_dims=256, fc2_dims=256,
                   n_games=N_GAMES, seed=77)
FINAL_SEEDS = range(10000, 10100)  # of the games that the final network plays
Run = namedtuple('Run', 'scores final_scores steps')  # scores, steps: of training


def make(game):
    """How README.md makes a game: with a wrapper where a state is one number."""
    limit = ', max_episode_steps=500' if game == CLIFF else ''
    made = f"gym.make('{game}'{limit})"
    return made if game in FOUR else f'gym.wrappers.FlattenObservation({made})'


def final_games(seeds):
    """The edit that adds games of the final network, without random actions."""
    return MAIN, 'plot_learning_curve(', f'''\
agent.epsilon = 0.0
    for i in {seeds}:
        score = 0
        done = False
        observation, info = env.reset(seed=i)
        while not done:
            action = agent.choose_action(observation)
            observation, reward, terminated, truncated, info = env.step(action)
            done = terminated or truncated
            score += reward
        print(f'greedy {{score:.2f}}')
    print(f'steps {{agent.mem_cntr}}')
    plot_learning_curve('''


# Edits name code, never a comment: comments are cut out before.
WITH_GRADIENT = [(AGENT, 'with T.no_grad(): q_next', """\
if True:
            q_next""")]
EVERY_END = [(MAIN, 'observation_, terminated)', 'observation_, done)')]
NO_NORM = [
    (AGENT, 'F.layer_norm(self.fc1(state), (self.fc1_dims,))', 'self.fc1(state)'),
    (AGENT, 'F.layer_norm(self.fc2(x), (self.fc2_dims,))', 'self.fc2(x)')]
CONSTANT = [(MAIN, '* remaining ** 2', '')]
# The four changes that the video lacks, in the order in which the ladder adds them.
LACKING = [WITH_GRADIENT, EVERY_END, NO_NORM, CONSTANT]
MEMORY_OF_64 = [number('max_mem_size', 64, AGENT)]
RESCALED = [(MAIN, 'check_space(env.action_space)', """\
env = gym.wrappers.RescaleObservation(env, -1, 1)
    check_space(env.action_space)""")]


def target_network(every):
    """The edits that add a target network, which is copied every so many steps."""
    return [
        (AGENT, 'import torch as T', 'import copy\nimport torch as T'),
        (AGENT, 'self.state_memory = np.zeros', """\
self.Q_next = copy.deepcopy(self.Q_eval)
        self.state_memory = np.zeros"""),
        (AGENT, 'self.Q_eval.optimizer.zero_grad()', f"""\
if self.mem_cntr % {every} == 0:
            self.Q_next.load_state_dict(self.Q_eval.state_dict())
        self.Q_eval.optimizer.zero_grad()"""),
        (AGENT, 'q_next = self.Q_eval(new_state_batch)',
         'q_next = self.Q_next(new_state_batch)')]


def rung(lr, n):
    """The edits that make the video's code, with its rate and the first n changes."""
    return [number('lr', lr), *(edit for edits in LACKING[n:] for edit in edits)]


# A row of the table is an entry here, and nothing else. beside: the name of the row
# that its p-values compare it with. To add a row, write it here, commit, and play.
Row = namedtuple('Row', 'label beside games edits')
VARIANTS = {
    'video-0.003': Row("the video's code, rate 0.003", beside='video-0.001',
                       games=[LANDER], edits=rung(0.003, 0)),
    'video-0.001': Row("the video's code, rate 0.001", beside=None,
                       games=FOUR, edits=rung(0.001, 0)),
    'held-target': Row('and the target held constant', beside='video-0.001',
                       games=FOUR, edits=rung(0.001, 1)),
    'time-outs': Row('and time limits not stored as ends', beside='held-target',
                     games=FOUR, edits=rung(0.001, 2)),
    'norm': Row('and layer normalisation', beside='time-outs',
                games=FOUR, edits=rung(0.001, 3)),
    'defaults': Row('and a rate that falls: this project', beside='norm',
                    games=[*FOUR, LAKE, CLIFF, TAXI], edits=[]),
    'gradient': Row('this project, the target with its gradient', beside='defaults',
                    games=FOUR, edits=WITH_GRADIENT),
    'done': Row('this project, time limits stored as ends', beside='defaults',
                games=FOUR, edits=EVERY_END),
    'no-norm': Row('this project, no layer normalisation', beside='defaults',
                   games=FOUR, edits=NO_NORM),
    'target': Row('this project, a target network in place of layer normalisation',
                  beside='defaults', games=[LANDER, POLE],
                  edits=[*NO_NORM, *target_network(1000)]),
    'no-replay': Row('this project, memory of 64', beside='defaults',
                     games=[LANDER], edits=MEMORY_OF_64),
    'rescaled': Row('this project, states rescaled to -1 to 1', beside='defaults',
                    games=[CAR], edits=RESCALED),
}
RUNS_TO_PLAY = [(name, game, seed) for name, row in VARIANTS.items()
                for game in row.games for seed in SEEDS]


def commit():
    """The commit of what plays, as git names it; with + if code was edited since."""
    def git(*arguments):
        return subprocess.check_output(['git', *arguments], cwd=ROOT, text=True).strip()

    edited = git('status', '--porcelain', '--', ':(glob)*.py', 'tests/edits.py',
                 'tests/study/player.py')
    return git('rev-parse', '--short', 'HEAD') + ('+' if edited else '')


def run(name, game, seed):
    """Play one run of a variant and add its line to runs.txt."""
    edits = [*games(N_GAMES, seed, make(game)), final_games(FINAL_SEEDS),
             *VARIANTS[name].edits]
    with tempfile.TemporaryDirectory() as folder:
        write_edited(Path(folder), edits)
        played_by = commit()
        output = subprocess.check_output([sys.executable, MAIN], cwd=folder, text=True)
    steps, = re.findall(r'^steps (\d+)', output, re.M)
    scores = re.findall(r'^(?:episode \d+/\d+ score|greedy) (\S+)', output, re.M)
    assert len(scores) == N_GAMES + len(FINAL_SEEDS)
    rounded = ' '.join(f'{float(score):.0f}' for score in scores)
    with RUNS.open('a', encoding='utf-8') as file:
        # In one write, so that lines stay whole.
        file.write(f'{name} {game} {seed} {played_by} {steps} {rounded}\n')
    print(f'{name} {game} seed {seed} is played', flush=True)


def finished_runs():
    """The runs in runs.txt, in any order: {(name, game, seed): Run}."""
    runs = {}
    for line in RUNS.read_text(encoding='utf-8').splitlines():
        if not line.startswith('#'):
            name, game, seed, _, steps, *scores = line.split()
            scores = [float(score) for score in scores]
            runs[name, game, int(seed)] = Run(scores[:N_GAMES], scores[N_GAMES:],
                                              int(steps))
    return runs


if __name__ == '__main__':
    finished = finished_runs()
    missing = [job for job in RUNS_TO_PLAY if job not in finished]
    print(f'{len(missing)} runs to go', flush=True)
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(lambda job: run(*job), missing):
            pass
    print('results.py writes the tables and the pictures')
