"""Plays the runs of the study. README.md says what came out.

    python tests/study/player.py     # plays every run that is missing

A run is main_lunar_lander.py itself, edited the way a reader edits it, with 100 games
of the final network added. It takes minutes; two go on at a time, each with a core of
its own. A finished run is a line of runs.txt and is not played again: name, game, seed,
commit, steps of training, 500 scores of training, 100 of the final network. A + behind
the commit: code was edited since; - in its place: it was not noted. A line with # names
the machine that played what follows.
"""
import re
import subprocess
import sys
import tempfile
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.metadata import version
from pathlib import Path
from platform import machine, python_version

ROOT = Path(__file__).resolve().parents[2]
RUNS = Path(__file__).resolve().with_name('runs.txt')
MAIN, AGENT = 'main_lunar_lander.py', 'simple_dqn_torch.py'
LANDER, POLE, ACROBOT = 'LunarLander-v3', 'CartPole-v1', 'Acrobot-v1'
CAR, LAKE, CLIFF, TAXI = 'MountainCar-v0', 'FrozenLake-v1', 'CliffWalking-v1', 'Taxi-v4'
FOUR = [LANDER, POLE, ACROBOT, CAR]
N_GAMES, SEEDS = 500, range(70, 80)
FINAL_SEEDS = range(10000, 10100)  # of the games that the final network plays
Run = namedtuple('Run', 'scores final_scores steps')  # scores, steps: of training


# An edit is (script, old, new); old is a text, or a compiled pattern.
def number(name, value, script=MAIN):
    """The edit that sets a number, such as lr=0.0002, whatever it is now."""
    old = re.compile(rf'\b{name} ?= ?\d[^,)#\n]*?(?=\s*[,)#\n])')
    return script, old, f'{name}={value}'


def games(n, seed, made):
    """The edits that set the number of games, the seed, and how the game is made."""
    return [number('n_games', n), (MAIN, re.compile(r'\bseed = \S+'), f'seed = {seed}'),
            (MAIN, re.compile(r'gym\.make\([^)]*\)'), made)]


def make(game):
    """How README.md makes a game: with a wrapper where a state is one number."""
    limit = ', max_episode_steps=500' if game == CLIFF else ''
    made = f"gym.make('{game}'{limit})"
    return made if game in FOUR else f'gym.wrappers.FlattenObservation({made})'


def final_games(seeds):
    """The edit that adds games of the final network, without random actions."""
    return MAIN, '    plot_learning_curve(', f'''\
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


WITH_GRADIENT = [(AGENT, 'with T.no_grad():  # the video', 'if True:  # the video')]
EVERY_END = [(MAIN, 'observation_, terminated)', 'observation_, done)')]
NO_NORM = [
    (AGENT, 'F.layer_norm(self.fc1(state), (self.fc1_dims,))', 'self.fc1(state)'),
    (AGENT, 'F.layer_norm(self.fc2(x), (self.fc2_dims,))', 'self.fc2(x)')]
CONSTANT = [(MAIN, ' * remaining ** 2', '')]
# The four changes that the video lacks, in the order in which the ladder adds them.
LACKING = [WITH_GRADIENT, EVERY_END, NO_NORM, CONSTANT]
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
MEMORY_OF_64 = [number('max_mem_size', 64, AGENT)]
RESCALED = [(MAIN, '# the video: v2\n', """\
# the video: v2
    env = gym.wrappers.RescaleObservation(env, -1, 1)
""")]


def rung(lr, n):
    """The edits that make the video's code, with its rate and the first n changes."""
    return [number('lr', lr), *(edit for edits in LACKING[n:] for edit in edits)]


# A row of the table is an entry here, and nothing else: its name in runs.txt, its
# label, the name of the row that its p-values compare it with, its games, its edits.
# To add one, write it here; say in tests/test_player.py what it does; commit; play.
VARIANTS = {
    'video-0.003': ("the video's code, rate 0.003", 'video-0.001', [LANDER],
                    rung(0.003, 0)),
    'video-0.001': ("the video's code, rate 0.001", None, FOUR, rung(0.001, 0)),
    'held-target': ('and the target held constant', 'video-0.001', FOUR,
                    rung(0.001, 1)),
    'time-outs': ('and a time-out is no end', 'held-target', FOUR, rung(0.001, 2)),
    'norm': ('and layer normalisation', 'time-outs', FOUR, rung(0.001, 3)),
    'defaults': ('and a rate that falls: this project', 'norm',
                 [*FOUR, LAKE, CLIFF, TAXI], []),
    'gradient': ('this project, the target with its gradient', 'defaults', FOUR,
                 WITH_GRADIENT),
    'done': ('this project, time-outs stored as ends', 'defaults', FOUR, EVERY_END),
    'no-norm': ('this project, no layer normalisation', 'defaults', FOUR, NO_NORM),
    'target': ('this project, a target network in place of layer normalisation',
               'defaults', [LANDER, POLE], [*NO_NORM, *TARGET_NETWORK]),
    'no-replay': ('this project, memory of 64', 'defaults', [LANDER], MEMORY_OF_64),
    'rescaled': ('this project, states rescaled to -1 to 1', 'defaults', [CAR],
                 RESCALED),
}
RUNS_TO_PLAY = [(name, game, seed) for name, (_, _, games_played, _) in VARIANTS.items()
                for game in games_played for seed in SEEDS]


def edited(folder, edits):
    """Put the three scripts into a folder, edited.

    Raises ValueError unless the old text of each edit is in its script just once.
    """
    texts = {path.name: path.read_text(encoding='utf-8') for path in ROOT.glob('*.py')}
    for script, old, new in edits:
        pattern = old if isinstance(old, re.Pattern) else re.compile(re.escape(old))
        texts[script], n = pattern.subn(lambda _: new, texts[script])
        if n != 1:
            raise ValueError(f'{old!r} is in {script} {n} times, not once')
    for script, text in texts.items():
        (folder / script).write_text(text, encoding='utf-8')


def commit():
    """The commit of what plays, as git names it; with + if code was edited since."""
    def git(*arguments):
        return subprocess.check_output(['git', *arguments], cwd=ROOT, text=True).strip()

    edits = git('status', '--porcelain', '--', ':(glob)*.py', 'tests/study/*.py')
    return git('rev-parse', '--short', 'HEAD') + ('+' if edits else '')


def this_machine():
    """Date, processor, and the versions of what computes the runs."""
    cpuinfo = Path('/proc/cpuinfo')
    names = re.findall(r'^model name\s*: (.*)$', cpuinfo.read_text(), re.M) \
        if cpuinfo.exists() else []
    packages = ', '.join(f'{name} {version(name)}'
                         for name in ('torch', 'numpy', 'gymnasium', 'Box2D'))
    return (f'{date.today()}, {(names or [machine()])[0]}, Python {python_version()}, '
            f'{packages}')


def append(line):
    """Add a line to runs.txt; in one write, so that lines stay whole."""
    with RUNS.open('a', encoding='utf-8') as file:
        file.write(f'{line}\n')


def run(name, game, seed):
    """Play one run of a variant and add its line to runs.txt."""
    *_, changes = VARIANTS[name]
    edits = [*games(N_GAMES, seed, make(game)), final_games(FINAL_SEEDS), *changes]
    with tempfile.TemporaryDirectory() as folder:
        edited(Path(folder), edits)
        played_by = commit()
        output = subprocess.check_output([sys.executable, MAIN], cwd=folder, text=True)
    steps, = re.findall(r'^steps (\d+)', output, re.M)
    scores = re.findall(r'^(?:episode \d+ score|greedy) (\S+)', output, re.M)
    assert len(scores) == N_GAMES + len(FINAL_SEEDS)
    rounded = ' '.join(f'{float(score):.0f}' for score in scores)
    append(f'{name} {game} {seed} {played_by} {steps} {rounded}')
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


def play_missing():
    """Play every run that is not in runs.txt."""
    finished = finished_runs()
    missing = [job for job in RUNS_TO_PLAY if job not in finished]
    print(f'{len(missing)} runs to go', flush=True)
    machines = re.findall('^# .*', RUNS.read_text(encoding='utf-8'), re.M)
    if missing and machines[-1:] != [f'# {this_machine()}']:
        append(f'# {this_machine()}')
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(lambda job: run(*job), missing):
            pass


if __name__ == '__main__':
    play_missing()
    print('results.py writes the page and the pictures')
