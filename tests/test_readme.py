"""What the README shows is there: lines of code, pictures, and snippets that run."""
import re
from textwrap import dedent, indent

import gymnasium as gym
import numpy as np
import pytest
import torch as T

from conftest import Homemade
from player import CAR, FOUR, LANDER, MAIN, N_GAMES, NO_NORM, POLE, ROOT
from results import (
    FINISHED, SOLVED, averages, measures, middling_seed, overview, ten_runs)
from simple_dqn_torch import Agent

README = (ROOT / 'README.md').read_text(encoding='utf-8')
WORDS = ' '.join(README.split())
SNIPPETS = [dedent(code) for code in re.findall(r'```python\n(.*?)```', README, re.S)]
LINK = r'\[`([^`]+)`\]\((\w+\.py)#L(\d+)\)'


@pytest.mark.parametrize('code, script, number', re.findall(LINK, README))
def test_linked_line_is_there(code, script, number):
    code = re.escape(re.sub(r'\d[\d.e-]*$', '', code))  # a reader may edit a number
    lines = (ROOT / script).read_text(encoding='utf-8').splitlines()
    found = [i for i, line in enumerate(lines, 1) if re.search(rf'(?<!\w){code}', line)]
    assert int(number) in found, f'{code!r} is in line {found} of {script}'


def test_every_mark_in_the_code_has_its_row_beside_the_video():
    section = re.search(r'^## Beside the video.*?(?=^## )', README, re.M | re.S)[0]
    marks = []
    for path in ROOT.glob('*.py'):
        lines = ['', *path.read_text(encoding='utf-8').splitlines()]
        for i, line in enumerate(lines):
            if '# the video:' in line or '# not in the video' in line:
                while lines[i].lstrip().startswith('#'):  # of the line below
                    i += 1
                marks.append(f'({path.name}#L{i})')
    assert len(marks) > 10 and [mark for mark in marks if mark not in section] == []


def test_pictures_and_linked_files_are_there():
    links = re.findall(r'(?:\]\(|src="|href=")(?!https?:)([\w./-]+)', README)
    assert len(links) > 30 and len(re.findall(LINK, README)) > 15
    assert [link for link in links if not (ROOT / link).exists()] == []
    for script, number in re.findall(r'\((\w+\.py)#L(\d+)', README):
        assert (ROOT / script).read_text(encoding='utf-8').splitlines()[int(number) - 1]


def test_pictures_are_those_of_the_script_as_it_stands():
    seed, = re.findall(r'Random seed \[(\d+)', README)
    code = (ROOT / MAIN).read_text(encoding='utf-8')
    made = "gym.make('LunarLander-v3') "
    for line in f'seed = {seed} ', f'n_games = {N_GAMES} ', made:
        assert line in code
    assert int(seed) == middling_seed()
    scores = FINISHED['defaults', LANDER, int(seed)].scores
    good = 100 + np.flatnonzero(averages(scores) >= 200)[0]
    end = np.mean(scores[400:])
    assert f'passes 200 at game {good} and ends at {end:.0f}' in README


@pytest.mark.parametrize('name, game, words', [
    ('no-norm', POLE, 'averages lie between {} and {} (seed 77: {}) instead'),
    ('defaults', POLE, 'instead of {} and {}. The lines'),
    ('norm', POLE, 'averages lie between {} and {} (seed 77: {}).'),
    ('no-replay', LANDER, 'the ten lie between {} and {} (seed 77: {}) instead'),
    ('defaults', LANDER, 'instead of {} and {}. <img')])
def test_ranges_of_the_experiments_are_those_of_the_study(name, game, words):
    ends = [f'{np.mean(run.scores[-100:]):.0f}' for run in ten_runs(name, game)]
    low, high = min(ends, key=float), max(ends, key=float)
    assert words.format(low, high, ends[77 - 70]) in WORDS


@pytest.mark.parametrize('name, game, n_solved, words', [
    ('no-norm', POLE, 1, 'One run is solved (475) instead of ten'),
    ('defaults', POLE, 10, 'One run is solved (475) instead of ten'),
    ('norm', POLE, 0, 'No run is solved'),
    ('no-replay', LANDER, 8, "Eight of the lander's runs are solved, later"),
    ('defaults', CAR, 8, 'two of ten runs are not solved'),
    ('rescaled', CAR, 10, 'all ten are, by game 252:')])
def test_as_many_runs_are_solved_as_said(name, game, n_solved, words):
    at, *_ = measures(ten_runs(name, game), SOLVED[game])
    assert np.isfinite(at).sum() == n_solved and words in WORDS
    assert name != 'rescaled' or max(at) == 252


def test_normal_scores_are_medians_of_the_study():
    head, scores = re.search(
        r'^\| Games (.*)\n.*\n\| Score (.*)$', README, re.M).groups()
    runs = [run.scores for run in ten_runs('defaults', LANDER)]
    medians = [np.median([run[int(first) - 1:int(last)] for run in runs])
               for first, last in re.findall(r'(\d+)–(\d+)', head)]
    assert scores.strip(' |').split(' | ') == [f'{median:.0f}' for median in medians]


def test_the_videos_runs_at_game_275_are_those_of_the_study():
    runs = [averages(run.scores) for run in ten_runs('video-0.003', LANDER)]
    at_275 = [run[275 - 100] for run in runs]
    solved = sum(run.max() >= 200 for run in runs)
    solved = ('none', 'one', 'two', 'three')[solved]
    said = (f'{solved} reaches 200 within 500 games; at game 275 their averages lie '
            f'between {min(at_275):.0f} and {max(at_275):.0f}.')
    assert said in WORDS


def test_figures_below_the_table_are_those_of_the_study():
    solved = below = 0
    for game in FOUR:
        at, ends, _ = measures(ten_runs('defaults', game), SOLVED[game])
        solved += np.isfinite(at).sum()
        below += sum(np.isfinite(at) & (np.array(ends) < SOLVED[game]))
    below = ('none', 'one', 'two', 'three')[below]
    assert f'Of {solved} solved runs, {below} end below the number.' in WORDS


def test_table_and_first_experiment_are_those_of_the_study():
    assert f'\n{overview()}\n' in README
    code = (ROOT / NO_NORM[0][0]).read_text(encoding='utf-8')
    for _, old, new in NO_NORM:
        code = code.replace(old, new)
    shown, = (snippet for snippet in SNIPPETS if 'F.relu' in snippet)
    assert indent(shown, 8 * ' ') in code


def test_large_rewards_and_states_are_made_smaller():
    code, = (snippet for snippet in SNIPPETS if 'TransformReward' in snippet)
    games = {'env': gym.make('CartPole-v1'), 'gym': gym}
    plain = gym.make('CartPole-v1')
    exec(code, games)
    for env in games['env'], plain:
        env.reset(seed=1)
    (small, reward, *_), (large, *_) = games['env'].step(0), plain.step(0)
    assert reward == 1 / 100 and np.allclose(small, large / 100)


def test_a_reader_can_keep_the_best_network(play):
    rewards = iter([0.0, 5.0, 1.0, 2.0])  # of each game
    now = []

    def on_step(game):
        if game.array[0] == 1 and game.n_games > 1:
            now.append(next(rewards, 0.0))
        return now[-1] / 70 if now else None

    kept = []
    start, = (code for code in SNIPPETS if code.startswith('best = '))
    saves, = (code for code in SNIPPETS if code.startswith('if avg_score > best:'))
    saves += '    kept.append(agent.Q_eval.fc3.bias.tolist())\n'
    lists = '    scores, eps_history = [], []\n'
    run = play(4, 'game', game=Homemade(length=70, on_step=on_step), kept=kept, edits=[
        (MAIN, lists, lists + indent(start, 4 * ' ')),
        (MAIN, re.compile(r'        save_network\(.*\n'), indent(saves, 8 * ' '))])
    assert len(kept) == 2  # averages 0, 2.5, 2, 2
    saved = T.load(run.cwd / 'runs/Homemade/network.pt')['fc3.bias'].tolist()
    assert saved == kept[-1] != run.agent.Q_eval.fc3.bias.tolist()


def test_a_one_hot_game_is_trained_watched_and_gone_on_with(play, monkeypatch):
    one_hot, = re.findall(r'`(gym\.wrappers\.FlattenObservation\(.*\))`', README)
    run = play(2, one_hot)
    monkeypatch.chdir(run.cwd)
    watch, = (code for code in SNIPPETS if 'human' in code)
    names = {}
    exec(watch.replace('runs/LunarLander*', 'runs/FrozenLake*')
         .replace("gym.make('LunarLander-v3', render_mode='human')", one_hot), names)
    assert names['terminated'] or names['truncated']
    best = run.agent.Q_eval(names['state']).argmax()  # in the last state it saw
    assert names['action'] == best

    go_on, = (code for code in SNIPPETS if code.startswith('agent.'))
    agent = Agent(0.99, 1.0, 1e-4, (16,), 64, 4)
    exec(go_on.replace('LunarLander', 'FrozenLake'), {'agent': agent, 'T': T})
    assert T.equal(agent.Q_eval.fc2.weight, run.agent.Q_eval.fc2.weight)
    # A network that learned on CUDA is loaded without it.
    assert README.count('T.load(') == README.count('map_location=')
