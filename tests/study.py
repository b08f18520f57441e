"""What the lesson reaches over many seeds, and which of its lines buys what.

    python tests/study.py            # every run that is missing, then table and figures
    python tests/study.py table      # these from the runs that are there

A run is main_lunar_lander.py itself, edited the way a reader edits it, with 100 greedy
games added at its end. It takes minutes; two go on at a time, each with a core of its
own. A finished run is a line of tests/study.txt, and is not run again: its variant, its
game, its seed, the steps it took, 500 scores of training and 100 greedy ones.
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
LANDER, POLE, ACROBOT = 'LunarLander-v3', 'CartPole-v1', 'Acrobot-v1'
SOLVED = {LANDER: 200, POLE: 475, ACROBOT: -100}  # averages of 100 games

# Played by the final network after training: epsilon 0, fresh games 10000 to 10099.
GREEDY = (MAIN, '        env.close()\n', '''
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

NO_NORM = [
    (AGENT, 'F.layer_norm(self.fc1(state), (self.fc1_dims,))', 'self.fc1(state)'),
    (AGENT, 'F.layer_norm(self.fc2(x), (self.fc2_dims,))', 'self.fc2(x)')]
WITH_GRADIENT = [
    (AGENT, 'with T.no_grad():  # the video', 'if True:  # the video')]
NOT_FALLING = [(MAIN, ' * (1 - i / n_games)', '')]
EVERY_END = [(MAIN, 'observation_, terminated)', 'observation_, done)')]
VIDEO = [*NO_NORM, *WITH_GRADIENT, *EVERY_END, *NOT_FALLING]
TARGET_NETWORK = [
    (AGENT, '        self.state_memory =', """\
        self.Q_next = DeepQNetwork(lr, input_dims, 256, 256, n_actions)
        self.Q_next.load_state_dict(self.Q_eval.state_dict())
        self.state_memory ="""),
    (AGENT, '        self.Q_eval.optimizer.zero_grad()\n', """\
        if self.mem_cntr % 1000 == 0:
            self.Q_next.load_state_dict(self.Q_eval.state_dict())
        self.Q_eval.optimizer.zero_grad()
"""),
    (AGENT, 'q_next = self.Q_eval(new_state_batch)',
     'q_next = self.Q_next(new_state_batch)')]


def change(pattern, new):
    """The edit that puts new in place of what pattern finds in the main script."""
    return MAIN, re.search(pattern, (ROOT / MAIN).read_text(encoding='utf-8'))[0], new


def number(name, value):
    """The edit that sets a hyperparameter, such as lr = 0.003."""
    return change(rf'\b{name} ?= ?[\d.e-]+', f'{name} = {value}')


def games(n, seed, make):
    """The edits that set the number of games, the seed, and how the game is made."""
    return [change(r'\bn_games = \S+', f'n_games = {n}'),
            change(r'\bseed = \S+', f'seed = {seed}'),
            change(r'gym\.make\([^)]*\)', make)]


# Name: (what it is, its edits).
VARIANTS = {
    'defaults': ('this project', []),
    'not-falling': ('rate not falling', NOT_FALLING),
    'no-norm': ('no layer normalisation', NO_NORM),
    'no-norm-0.0003': ('no layer normalisation, rate 0.0003', [
        number('lr', 0.0003), number('eps_end', 0.03), *NO_NORM, *NOT_FALLING]),
    'target': ('target network instead', [*NO_NORM, *TARGET_NETWORK]),
    'both': ('target network as well', TARGET_NETWORK),
    'gradient': ('gradient through the target', WITH_GRADIENT),
    'no-replay': ('memory of 64', [number('max_mem_size', 64)]),
    'lr-0.0001': ('learning rate 0.0001', [number('lr', 0.0001)]),
    'lr-0.003': ('learning rate 0.003', [number('lr', 0.003)]),
    'every-end': ('time-outs stored as ends', EVERY_END),
    'video-0.003': ("the video's code, rate 0.003", [number('lr', 0.003), *VIDEO]),
    'video-0.001': ("the video's code, rate 0.001", [number('lr', 0.001), *VIDEO]),
}
FRESH, CHANGES, VIDEO_SEEDS = range(50, 60), range(50, 55), range(10)
# The lines of the table: variant, game, seeds. Seeds 0 to 4 of defaults and lr-0.0001
# chose the learning rate, and are not in it.
LINES = [
    *(('defaults', game, FRESH) for game in SOLVED),
    *(('not-falling', game, CHANGES) for game in SOLVED),
    *((name, game, CHANGES) for name in ('no-norm', 'no-norm-0.0003', 'target')
      for game in (LANDER, POLE)),
    *((name, LANDER, CHANGES)
      for name in ('both', 'gradient', 'no-replay', 'lr-0.003')),
    ('every-end', POLE, CHANGES),
    *((name, LANDER, VIDEO_SEEDS) for name in ('video-0.003', 'video-0.001')),
]


def edited(folder, edits):
    """Put the three scripts into a folder, edited; each edit must fit just once."""
    texts = {path.name: path.read_text(encoding='utf-8') for path in ROOT.glob('*.py')}
    for script, old, new in edits:
        if texts[script].count(old) != 1:
            raise ValueError(f'{old!r} is not in {script} just once')
        texts[script] = texts[script].replace(old, new)
    for script, text in texts.items():
        (folder / script).write_text(text, encoding='utf-8')


def run(name, game, seed):
    """Play one run of a variant, show its progress and keep its numbers."""
    edits = [*games(N_GAMES, seed, f"gym.make('{game}')"), GREEDY, *VARIANTS[name][1]]
    with tempfile.TemporaryDirectory() as folder:
        edited(Path(folder), edits)
        scores, greedy, steps = [], [], None
        with subprocess.Popen([sys.executable, MAIN], cwd=folder, text=True,
                              stdout=subprocess.PIPE) as process:
            for line in process.stdout:
                if match := re.match(r'episode (\d+) score (\S+)', line):
                    scores.append(float(match[2]))
                    if len(scores) % 50 == 0:
                        print(f'{name} {game} seed {seed} {line}', end='', flush=True)
                elif match := re.match(r'greedy (\S+)', line):
                    greedy.append(float(match[1]))
                elif match := re.match(r'steps (\d+)', line):
                    steps = int(match[1])
    if process.returncode or (len(scores), len(greedy)) != (N_GAMES, 100):
        raise RuntimeError(f'{name} {game} seed {seed} broke off')
    keep(name, game, seed, scores, greedy, steps)


def keep(name, game, seed, scores, greedy, steps):
    """Add a run's line to the file; lines stay whole when two runs end at once."""
    numbers = ' '.join(f'{score:.0f}' for score in [*scores, *greedy])
    with RUNS.open('a', encoding='utf-8') as file:
        file.write(f'{name} {game} {seed} {steps} {numbers}\n')


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


def row(label, runs, solved_at):
    """A line of the table: each figure's median and worst over the runs.

    solved_at: the average of 100 games that solves the game. The last column also says
    how many final networks are below it.
    """
    solved = []
    for scores, _, _ in runs:
        good = np.flatnonzero(averages(scores) >= solved_at)
        solved.append(100 + good[0] if good.size else np.inf)
    end = [scores[-100:].mean() for scores, _, _ in runs]
    greedy = np.array([scores.mean() for _, scores, _ in runs])
    below = (greedy < solved_at).sum()

    def game(median, latest):
        latest = f'{latest:.0f}' if np.isfinite(latest) else 'never'
        return f'{np.ceil(median):.0f} ({latest})' if np.isfinite(median) else 'never'

    return (f'| {label} | {np.isfinite(solved).sum()}/{len(runs)} | '
            f'{game(np.median(solved), max(solved))} | '
            f'{np.median(end):.0f} ({min(end):.0f}) | '
            f'{np.median(greedy):.0f} ({min(greedy):.0f})'
            f'{f", {below} below" if below else ""} |')


def load(name, game, seeds):
    """The runs (scores, greedy, steps) of these seeds; none until all are there."""
    runs = finished()
    found = [runs[name, game, seed] for seed in seeds if (name, game, seed) in runs]
    return found if len(found) == len(seeds) else []


def table():
    """The lines of the table, in Markdown: one game after the other."""
    lines = ['| game, run | solved | at game | games 401 to 500 | greedy mean |',
             '|' + ' --- |' * 5]
    for game, solved_at in SOLVED.items():
        lines.append(f'| **{game}, {solved_at}** | | | | |')
        lines += [row(VARIANTS[name][0], runs, solved_at)
                  for name, played, seeds in LINES
                  if played == game and (runs := load(name, game, seeds))]
    return lines


def figure(filename, panels):
    """Draw 100-game averages: median and full range over the seeds of each line.

    panels: {game: [(variant, seeds, colour), ...]}, one of them or three.
    """
    two = len(panels) > 1  # then two rows, the legend in the fourth place
    fig = Figure(figsize=(5, 4.6) if two else (5, 3), layout='constrained')
    axes = fig.subplots(1 + two, 1 + two, squeeze=False).flat
    labels = {}
    for ax, (game, lines) in zip(axes, panels.items()):
        ax.set_title(game, fontsize='medium')
        ax.set_xlabel('Game')
        ax.set_xticks([100, 300, 500])
        for name, seeds, color in lines:
            runs = load(name, game, seeds)
            if not runs:
                continue
            curves = np.array([averages(scores) for scores, _, _ in runs])
            x = np.arange(100, 100 + curves.shape[1])
            ax.fill_between(x, curves.min(axis=0), curves.max(axis=0), color=color,
                            alpha=0.2, linewidth=0)
            labels[VARIANTS[name][0]], = ax.plot(x, np.median(curves, axis=0),
                                                 color=color, linewidth=2)
        solved = ax.axhline(SOLVED[game], color='black', linestyle='--', linewidth=1)
    labels['solved'] = solved  # the last in the legend
    fig.supylabel('Average of the last 100 games', fontsize='medium')
    if two:
        axes[3].axis('off')
        axes[3].legend(labels.values(), labels, loc='center', fontsize='small')
    else:
        fig.legend(labels.values(), labels, loc='outside lower center', ncols=2)
    fig.savefig(PICTURES / filename, dpi=240)


if __name__ == '__main__':
    RUNS.touch()
    if 'table' not in sys.argv[1:]:
        there = finished()
        missing = dict.fromkeys((name, game, seed) for name, game, seeds in LINES
                                for seed in seeds if (name, game, seed) not in there)
        print(f'{len(missing)} runs to go', flush=True)
        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(lambda job: run(*job), missing):
                pass
    print(*table(), sep='\n')
    project, no_norm = ('defaults', FRESH, 'C3'), ('no-norm', CHANGES, 'C0')
    constant = ('not-falling', CHANGES, 'C1')
    figure('study.png', {
        LANDER: [('video-0.001', VIDEO_SEEDS, 'C4'), no_norm, project],
        POLE: [no_norm, constant, project],
        ACROBOT: [constant, project]})
    figure('experiments.png', {
        LANDER: [('no-replay', CHANGES, 'C4'), ('lr-0.003', CHANGES, 'C1'), project]})
