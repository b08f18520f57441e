"""What the lesson reaches over many seeds, and which of its lines buys what.

    python tests/study.py            # every run that is missing, then table and figures
    python tests/study.py table      # these from the runs that are there

A run is main_lunar_lander.py itself, edited the way a reader edits it, with 100 games
of the final network added. It takes minutes; two go on at a time, each with a core of
its own. A finished run is a line of tests/study.txt, and is not run again: its variant,
its game, its seed, the steps it took, 500 scores of training, 100 of the final network.
"""
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parent.parent
RUNS = Path(__file__).resolve().with_suffix('.txt')
PICTURES = ROOT / '.github'
MAIN, AGENT = 'main_lunar_lander.py', 'simple_dqn_torch.py'
N_GAMES = 500
LANDER, POLE, ACROBOT = 'LunarLander-v3', 'CartPole-v1', 'Acrobot-v1'
CAR, LAKE, CLIFF, TAXI = 'MountainCar-v0', 'FrozenLake-v1', 'CliffWalking-v1', 'Taxi-v4'
FOUR = [LANDER, POLE, ACROBOT, CAR]
# An average of 100 games that solves the game. CliffWalking has none: -13 is its best.
SOLVED = {LANDER: 200, POLE: 475, ACROBOT: -100, CAR: -110,
          LAKE: 0.7, CLIFF: -13, TAXI: 8}

# Played by the final network: epsilon 0, fresh games 10000 to 10099.
GREEDY = (MAIN, '    plot_learning_curve(', '''\
    agent.epsilon = 0.0
    for i in range(10000, 10100):
        score = 0
        done = False
        observation, info = env.reset(seed=i)
        while not done:
            action = agent.choose_action(observation)
            observation, reward, terminated, truncated, info = env.step(action)
            done = terminated or truncated
            score += reward
        print(f'greedy {score:.2f}')
    print(f'steps {agent.mem_cntr}')
    plot_learning_curve(''')

NO_NORM = [
    (AGENT, 'F.layer_norm(self.fc1(state), (self.fc1_dims,))', 'self.fc1(state)'),
    (AGENT, 'F.layer_norm(self.fc2(x), (self.fc2_dims,))', 'self.fc2(x)')]
WITH_GRADIENT = [
    (AGENT, 'with T.no_grad():  # the video', 'if True:  # the video')]
EVERY_END = [(MAIN, 'observation_, terminated)', 'observation_, done)')]
TARGET_NETWORK = [
    (AGENT, '        self.state_memory =', """\
        self.Q_next = DeepQNetwork(self.lr, input_dims, 256, 256, n_actions)
        self.Q_next.load_state_dict(self.Q_eval.state_dict())
        self.state_memory ="""),
    (AGENT, '        self.Q_eval.optimizer.zero_grad()\n', """\
        if self.mem_cntr % 1000 == 0:
            self.Q_next.load_state_dict(self.Q_eval.state_dict())
        self.Q_eval.optimizer.zero_grad()
"""),
    (AGENT, 'q_next = self.Q_eval(new_state_batch)',
     'q_next = self.Q_next(new_state_batch)')]


def number(name, value, script=MAIN):
    """The edit that sets a number, such as lr=0.0002, whatever it is now."""
    old = re.compile(rf'\b{name} ?= ?\d[^,)#\n]*?(?=\s*[,)#\n])')
    return script, old, f'{name}={value}'


def rate(lr, power):
    """The edits that set the learning rate and the power in which it falls; 0: none."""
    return [number('lr', lr), (MAIN, re.compile(r'\* left\b.*'), f'* left ** {power}')]


def games(n, seed, made):
    """The edits that set the number of games, the seed, and how the game is made."""
    return [number('n_games', n), (MAIN, re.compile(r'\bseed = \S+'), f'seed = {seed}'),
            (MAIN, re.compile(r'gym\.make\([^)]*\)'), made)]


CONSTANT = [(MAIN, ' * left', '')]
VIDEO = [*NO_NORM, *WITH_GRADIENT, *EVERY_END, *CONSTANT]


def make(game):
    """How README.md makes a game: with a wrapper where a state is one number."""
    limit = ', max_episode_steps=500' if game == CLIFF else ''
    made = f"gym.make('{game}'{limit})"
    return made if game in FOUR else f'gym.wrappers.FlattenObservation({made})'


# Name: (what it is, its edits).
VARIANTS = {
    'defaults': ('this project', []),
    'constant': ('constant rate', CONSTANT),
    'no-norm': ('no layer normalisation', NO_NORM),
    'no-norm-0.0003': ('no layer normalisation, constant 0.0003, eps_end 0.03', [
        number('lr', 0.0003), number('eps_end', 0.03), *NO_NORM, *CONSTANT]),
    'target': ('target network, no layer normalisation', [*NO_NORM, *TARGET_NETWORK]),
    'gradient': ('gradient through the target', WITH_GRADIENT),
    'no-replay': ('memory of 64', [number('max_mem_size', 64, AGENT)]),
    'lr-0.0001': ('learning rate 0.0001', [number('lr', 0.0001)]),
    'lr-0.003': ('learning rate 0.003', [number('lr', 0.003)]),
    'every-end': ('time-outs stored as ends', EVERY_END),
    'video-0.001': ("the video's code, rate 0.001", [number('lr', 0.001), *VIDEO]),
    'video-0.003': ("the video's code, rate 0.003", [number('lr', 0.003), *VIDEO]),
}
TEN, FIVE = range(60, 70), range(60, 65)
# The lines of the table: variant, game, seeds. Seeds 0 to 4 of defaults and lr-0.0001
# chose the learning rate, when agent and game still drew the same random numbers.
LINES = [
    *((name, game, TEN) for name in ('defaults', 'constant', 'no-norm', 'video-0.001')
      for game in FOUR),
    ('gradient', LANDER, TEN), ('every-end', POLE, TEN), ('every-end', CAR, TEN),
    ('video-0.003', LANDER, TEN),
    *((name, game, FIVE) for name in ('defaults', 'no-norm-0.0003', 'target')
      for game in (LANDER, POLE)),
    ('no-replay', LANDER, FIVE), ('lr-0.003', LANDER, FIVE),
    *(('defaults', game, TEN) for game in (LAKE, CLIFF, TAXI)),
]


def edited(folder, edits):
    """Put the three scripts into a folder, edited.

    edits: (script, old, new), where old is a text or a compiled pattern. Raises
    ValueError unless old is in its script just once.
    """
    texts = {path.name: path.read_text(encoding='utf-8') for path in ROOT.glob('*.py')}
    for script, old, new in edits:
        pattern = old if isinstance(old, re.Pattern) else re.compile(re.escape(old))
        texts[script], n = pattern.subn(lambda _: new, texts[script])
        if n != 1:
            raise ValueError(f'{old!r} is in {script} {n} times, not once')
    for script, text in texts.items():
        (folder / script).write_text(text, encoding='utf-8')


def run(name, game, seed):
    """Play one run of a variant and keep its numbers."""
    edits = [*games(N_GAMES, seed, make(game)), GREEDY, *VARIANTS[name][1]]
    with tempfile.TemporaryDirectory() as folder:
        edited(Path(folder), edits)
        output = subprocess.check_output([sys.executable, MAIN], cwd=folder, text=True)
    steps, = re.findall(r'^steps (\d+)', output, re.M)
    scores = re.findall(r'^(?:episode \d+ score|greedy) (\S+)', output, re.M)
    assert len(scores) == N_GAMES + 100
    numbers = ' '.join(f'{float(score):.0f}' for score in scores)
    with RUNS.open('a', encoding='utf-8') as file:  # one write: lines stay whole
        file.write(f'{name} {game} {seed} {steps} {numbers}\n')
    print(f'{name} {game} seed {seed} is there', flush=True)


def finished():
    """The runs that are there: {(name, game, seed): (scores, greedy, steps)}."""
    runs = {}
    for line in RUNS.read_text(encoding='utf-8').splitlines():
        name, game, seed, steps, *scores = line.split()
        scores = np.array(scores, dtype=float)
        runs[name, game, int(seed)] = scores[:N_GAMES], scores[N_GAMES:], int(steps)
    return runs


def averages(scores):
    """Average of the last 100 games, from game 100 on."""
    return np.convolve(scores, np.full(100, 1 / 100), mode='valid')


def p_value(a, b):
    """Paired sign-flip test: how often random signs make the mean of a - b as large."""
    signs = np.array(list(product([1, -1], repeat=len(a))))
    means = np.abs(signs @ (np.array(a) - b))
    return np.mean(means >= means[0] - 1e-9)


def row(label, runs, solved_at, beside):
    """A line of the table: each figure's median and worst over the runs.

    solved_at: the average of 100 games that solves the game; runs below it are counted.
    beside: this project's runs with the same seeds, for the p-values of the averages.
    """
    solved = []
    for scores, _, _ in runs:
        good = np.flatnonzero(averages(scores) >= solved_at)
        solved.append(100 + good[0] if good.size else np.inf)
    ends, finals = ([run[i][-100:].mean() for run in runs] for i in range(2))
    p = [f'{p_value(values, [run[i][-100:].mean() for run in beside]):.3f}'
         for i, values in enumerate((ends, finals)) if beside]

    def game(median, latest):
        latest = f'{latest:.0f}' if np.isfinite(latest) else 'never'
        return f'{np.ceil(median):.0f} ({latest})' if np.isfinite(median) else 'never'

    def score(values):
        digits = 2 if abs(solved_at) < 1 else 0
        below = sum(value < solved_at for value in values)
        return (f'{np.median(values):.{digits}f} ({min(values):.{digits}f})'
                f'{f", {below} below" if below else ""}')

    return (f'| {label} | {np.isfinite(solved).sum()}/{len(runs)} | '
            f'{game(np.median(solved), max(solved))} | '
            f'{score(ends)} | {score(finals)} | {", ".join(p)} |')


def load(there, name, game, seeds):
    """The runs (scores, final, steps) of these seeds; none until all are there."""
    found = [there[name, game, seed] for seed in seeds if (name, game, seed) in there]
    return found if len(found) == len(seeds) else []


def table(there):
    """The lines of the table, in Markdown: one game after the other."""
    lines = ['| game, run | solved | at game | games 401 to 500 | final network | p |',
             '|' + ' --- |' * 6]
    for game, solved_at in SOLVED.items():
        lines.append(f'| **{game}, {solved_at}** | | | | | |')
        for name, played, seeds in LINES:
            if played == game and (runs := load(there, name, game, seeds)):
                label = VARIANTS[name][0] + ', five seeds' * (seeds == FIVE)
                beside = name != 'defaults' and load(there, 'defaults', game, seeds)
                lines.append(row(label, runs, solved_at, beside))
    return lines


def figure(filename, there, panels):
    """Draw 100-game averages: median and full range over the seeds of each line.

    panels: [(game, seeds, [variant, ...]), ...], two in a row.
    """
    fig = Figure(figsize=(6.4, 1 + 1.3 * len(panels)), layout='constrained')
    x, labels = np.arange(100, 501), {}
    for ax, (game, seeds, names) in zip(fig.subplots(len(panels) // 2, 2).flat, panels):
        ax.set(title=game, xlabel='Game', xticks=range(100, 501, 100))
        for name in names:
            runs, color = load(there, name, game, seeds), COLORS[name]
            curves = np.array([averages(scores) for scores, _, _ in runs])
            if runs:
                low, high = curves.min(axis=0), curves.max(axis=0)
                ax.fill_between(x, low, high, color=color, alpha=0.07)
                ax.plot(x, low, x, high, color=color, linewidth=0.8)
                labels[VARIANTS[name][0]], = ax.plot(x, np.median(curves, axis=0),
                                                     color=color, linewidth=2.5)
        solved = ax.axhline(SOLVED[game], color='black', linestyle='--', linewidth=1)
    labels['solved'] = solved  # the last in the legend
    fig.suptitle('Average of the last 100 games: median and range over the seeds')
    fig.legend(labels.values(), labels, loc='outside lower center', ncols=3)
    fig.savefig(PICTURES / filename, dpi=200)


COLORS = {'defaults': 'C3', 'constant': 'C1', 'no-norm': 'C0', 'video-0.001': 'C4',
          'no-replay': 'C4', 'lr-0.003': 'C1'}

if __name__ == '__main__':
    RUNS.touch()
    there = finished()
    if 'table' not in sys.argv[1:]:
        missing = dict.fromkeys((name, game, seed) for name, game, seeds in LINES
                                for seed in seeds if (name, game, seed) not in there)
        print(f'{len(missing)} runs to go', flush=True)
        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(lambda job: run(*job), missing):
                pass
        there = finished()
    print(*table(there), sep='\n')
    four = ['video-0.001', 'no-norm', 'constant', 'defaults']
    figure('study.png', there, [(game, TEN, four) for game in FOUR])
    figure('experiments.png', there, [
        (POLE, TEN, ['no-norm', 'defaults']),
        (LANDER, FIVE, ['no-replay', 'lr-0.003', 'defaults'])])
