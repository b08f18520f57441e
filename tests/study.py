"""What the lesson reaches over many seeds, and which of its lines buys what.

    python tests/study.py            # every run that is missing, then table and figure
    python tests/study.py table      # both from the runs that are there

A run is main_lunar_lander.py itself, edited the way a reader edits it, with 100 greedy
games added at its end. It takes minutes; two go on at a time, each with a core of its
own. A finished run is a line of tests/study.txt, and is not run again: its variant,
its seed, the steps it took, 500 scores of training and 100 greedy ones.
"""
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parent.parent
RUNS = Path(__file__).resolve().with_suffix('.txt')
PICTURES = ROOT / '.github'
MAIN, AGENT = 'main_lunar_lander.py', 'simple_dqn_torch.py'
N_GAMES = 500
SOLVED = 200
OTHER_GAMES = {'CartPole-v1': 475, 'Acrobot-v1': -100}  # solved at this average

# Played by the final network after training: epsilon 0, fresh games 10000 to 10099.
GREEDY = (MAIN, '    env.close()\n', '''
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
    env.close()
''')

WITH_GRADIENT = [
    (AGENT, '        with T.no_grad():\n            q_next', '        if True:\n'
     '            q_next')]
PLAIN_ADAM = [(AGENT, 'eps=1e-4,\n                                    '
               'weight_decay=1e-4, ', '')]
EVERY_END = [(MAIN, 'observation_, terminated)', 'observation_, done)')]
TARGET_NETWORK = [
    (AGENT, '        self.state_memory =', """\
        self.Q_next = DeepQNetwork(lr, input_dims, 256, 256, n_actions)
        self.state_memory ="""),
    (AGENT, '        self.Q_eval.optimizer.zero_grad()\n', """\
        if self.mem_cntr % 1000 == 0:
            self.Q_next.load_state_dict(self.Q_eval.state_dict())
        self.Q_eval.optimizer.zero_grad()
"""),
    (AGENT, 'q_next = self.Q_eval.forward', 'q_next = self.Q_next.forward')]


def number(name, value):
    """The edit that sets a number in the main script, such as lr=0.003."""
    text = (ROOT / MAIN).read_text(encoding='utf-8')
    return (MAIN, re.search(rf'\b{name}=[\d.e-]+', text)[0], f'{name}={value}')


FALLING = [*PLAIN_ADAM, number('lr', 0.001), number('lr_decay', 0.99999),
           number('eps_end', 0.05)]


# Name: (what it is, its edits, seeds of its lines), in the order of the table.
VARIANTS = {
    'defaults': ('this project', [], [range(20, 30), range(10), range(5)]),
    'dictated': ('the lesson as dictated',
                 [number('lr', 0.003), number('eps_end', 0.01), *PLAIN_ADAM,
                  *WITH_GRADIENT, *EVERY_END], [range(10)]),
    'falling': ('falling learning rate', FALLING, [range(30, 40)]),
    'target': ('target network', TARGET_NETWORK, [range(10)]),
    'lr-0.003': ('learning rate 0.003', [number('lr', 0.003)], [range(5)]),
    'lr-0.001': ('learning rate 0.001', [number('lr', 0.001)], [range(5)]),
    'gradient': ('target with its gradient', WITH_GRADIENT, [range(5)]),
    'every-end': ('time-outs stored as terminal', EVERY_END, [range(5)]),
    'no-replay': ('memory of 64', [number('max_mem_size', 64)], [range(5)]),
    'plain-adam': ('plain Adam', PLAIN_ADAM, [range(10)]),
    'eps-end': ('eps_end=0.01', [number('eps_end', 0.01)], [range(5)]),
    **{name: (name, [(MAIN, "'LunarLander-v3'", f"'{name}'")], [range(10)])
       for name in OTHER_GAMES},
}


def edited(folder, edits):
    """Put the three scripts into a folder, edited; each edit must fit just once."""
    texts = {path.name: path.read_text(encoding='utf-8') for path in ROOT.glob('*.py')}
    for script, old, new in edits:
        if texts[script].count(old) != 1:
            raise ValueError(f'{old!r} is not in {script} just once')
        texts[script] = texts[script].replace(old, new)
    for script, text in texts.items():
        (folder / script).write_text(text, encoding='utf-8')


def run(name, seed):
    """Play one run of a variant, show its progress and keep its numbers."""
    edits = [(MAIN, 'seed = 0\n', f'seed = {seed}\n'), GREEDY, *VARIANTS[name][1]]
    with tempfile.TemporaryDirectory() as folder:
        edited(Path(folder), edits)
        scores, greedy, steps = [], [], None
        with subprocess.Popen([sys.executable, MAIN], cwd=folder, text=True,
                              stdout=subprocess.PIPE) as process:
            for line in process.stdout:
                if match := re.match(r'episode (\d+) score (\S+)', line):
                    scores.append(float(match[2]))
                    if len(scores) % 50 == 0:
                        print(f'{name} seed {seed} {line}', end='', flush=True)
                elif match := re.match(r'greedy (\S+)', line):
                    greedy.append(float(match[1]))
                elif match := re.match(r'steps (\d+)', line):
                    steps = int(match[1])
    if process.returncode or (len(scores), len(greedy)) != (N_GAMES, 100):
        raise RuntimeError(f'{name} seed {seed} broke off')
    keep(name, seed, scores, greedy, steps)


def keep(name, seed, scores, greedy, steps):
    """Add a run's line to the file; lines stay whole when two runs end at once."""
    numbers = ' '.join(f'{score:.0f}' for score in [*scores, *greedy])
    with RUNS.open('a', encoding='utf-8') as file:
        file.write(f'{name} {seed} {steps} {numbers}\n')


def finished():
    """The runs that are there: {(name, seed): (scores, greedy, steps)}."""
    runs = {}
    for line in RUNS.read_text(encoding='utf-8').splitlines():
        name, seed, steps, *scores = line.split()
        scores = np.array(scores, dtype=float)
        runs[name, int(seed)] = scores[:N_GAMES], scores[N_GAMES:], int(steps)
    return runs


def load(name, seeds):
    """The runs of a variant that are there: {seed: (scores, greedy, steps)}."""
    runs = finished()
    return {seed: runs[name, seed] for seed in seeds if (name, seed) in runs}


def averages(scores):
    """Average of the last 100 games, from game 100 on."""
    return np.convolve(scores, np.full(100, 1 / 100), mode='valid')


def row(label, runs, solved_at=SOLVED):
    """A line of the table: each figure's median and worst over the runs.

    solved_at: the average of 100 games that solves the game.
    """
    solved = []
    for scores, _, _ in runs:
        good = np.flatnonzero(averages(scores) >= solved_at)
        solved.append(100 + good[0] if good.size else np.inf)
    end = [scores[-100:].mean() for scores, _, _ in runs]
    greedy = [scores.mean() for _, scores, _ in runs]

    def game(value):
        return f'{value:.0f}' if np.isfinite(value) else 'never'

    return (f'| {label} | {np.isfinite(solved).sum()}/{len(runs)} | '
            f'{game(np.median(solved))} / {game(max(solved))} | '
            f'{np.median(end):.0f} / {min(end):.0f} | '
            f'{np.median(greedy):.0f} / {min(greedy):.0f} |')


def table():
    """The lines of the table, in Markdown."""
    lines = ['| run, seeds | solved | at game, median / worst | '
             'games 401 to 500, median / worst | greedy mean, median / worst |',
             '|' + ' --- |' * 5]
    for name, (label, _, groups) in VARIANTS.items():
        for seeds in groups:
            if runs := load(name, seeds):
                lines.append(row(f'{label}, {min(runs)} to {max(runs)}',
                                 [*runs.values()], OTHER_GAMES.get(name, SOLVED)))
    return lines


def figure(path, lines):
    """Draw 100-game averages to path: median and full range over the seeds of a line.

    lines: (name, seeds, colour, label) of each.
    """
    fig = Figure(figsize=(7, 4), layout='constrained')
    ax = fig.subplots()
    ax.set_xlabel('Game')
    ax.set_ylabel('Average score of the last 100 games')
    ax.axhline(SOLVED, color='gray', linewidth=1)
    for name, seeds, color, label in lines:
        runs = load(name, seeds).values()
        if not runs:
            continue  # none is there yet
        curves = np.array([averages(scores) for scores, _, _ in runs])
        games = np.arange(100, 100 + curves.shape[1])
        ax.fill_between(games, curves.min(axis=0), curves.max(axis=0), color=color,
                        alpha=0.2, linewidth=0)
        ax.plot(games, np.median(curves, axis=0), color=color, linewidth=2.5,
                label=f'{label}, {len(curves)} seeds')
    ax.set_title('Median and range over the seeds', fontsize='medium')
    fig.legend(loc='outside lower center', ncols=2)
    fig.savefig(path, dpi=200)


if __name__ == '__main__':
    RUNS.touch()
    if 'table' not in sys.argv[1:]:
        there = finished()
        missing = [(name, seed) for name, (_, _, groups) in VARIANTS.items()
                   for seed in sorted(set().union(*groups))
                   if (name, seed) not in there]
        print(f'{len(missing)} runs to go', flush=True)
        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(lambda job: run(*job), missing):
                pass
    print(*table(), sep='\n')
    figure(PICTURES / 'study.png', [
        ('defaults', range(20, 30), 'C3', 'this project'),
        ('dictated', range(10), 'C0', 'the lesson as dictated')])
    figure(PICTURES / 'experiments.png', [
        ('defaults', range(5), 'C3', 'this project'),
        ('lr-0.003', range(5), 'C1', 'learning rate 0.003'),
        ('no-replay', range(5), 'C2', 'a memory of 64'),
        ('gradient', range(5), 'C0', 'a target with its gradient')])
