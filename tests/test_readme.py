"""What the README shows is there: lines of code, pictures, and snippets that run."""
import re
from textwrap import dedent, indent

import gymnasium as gym
import numpy as np
import torch as T

from conftest import Homemade
from edits import AGENT, MAIN, ROOT
from links import LINK, line_of, numbered
from simple_dqn_torch import Agent

README = (ROOT / 'README.md').read_text(encoding='utf-8')
SNIPPETS = [dedent(code) for code in re.findall(r'```python\n(.*?)```', README, re.S)]


def test_links_have_the_numbers_of_their_lines():
    assert len(LINK.findall(README)) == README.count('.py#L') > 30
    assert numbered(README) == README, 'to mend it: python tests/links.py'


def test_every_mark_in_the_code_has_its_row_beside_the_video():
    section = re.search(r'^## Beside the video.*?(?=^## )', README, re.M | re.S)[0]
    rows = {(script, line_of(code, script)) for code, script in LINK.findall(section)}
    marked = set()
    for path in ROOT.glob('*.py'):
        lines = ['', *path.read_text(encoding='utf-8').splitlines()]
        for i, line in enumerate(lines):
            if '# the video:' in line or '# not in the video' in line:
                while lines[i].lstrip().startswith('#'):  # of the line below
                    i += 1
                marked.add((path.name, i))
    assert len(marked) > 10 and marked <= rows


def test_pictures_and_linked_files_are_there():
    # The study looks after the links to it.
    links = re.findall(
        r'(?:\]\(|src="|href=")(?!https?:|tests/study/)([\w./-]+)', README)
    assert len(links) > 30
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_without_layer_normalisation_the_lines_are_those_of_the_page():
    code = (ROOT / AGENT).read_text(encoding='utf-8')
    code = re.sub(r'F\.layer_norm\((.*), \(self\.fc\d_dims,\)\)', r'\1', code)
    shown, = (snippet for snippet in SNIPPETS if snippet.startswith('x = F.relu'))
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

    start, = (code for code in SNIPPETS if code.startswith('best = '))
    saves, = (code for code in SNIPPETS if code.startswith('if avg_score > best:'))
    saves += '    kept.append(agent.Q_eval.fc3.bias.tolist())\n'
    lists = 'scores, eps_history = [], []'
    run = play(4, Homemade(length=70, on_step=on_step), edits=[
        (MAIN, lists, f'{lists}\n    kept = []\n{indent(start, 4 * " ")}'),
        (MAIN, re.compile(r' *save_network\(.*\n'), indent(saves, 8 * ' '))])
    kept = run.main.kept
    assert len(kept) == 2  # averages 0, 2.5, 2, 2
    saved = T.load(run.folder / 'runs/Homemade/network.pt')['fc3.bias'].tolist()
    assert saved == kept[-1] != run.main.agent.Q_eval.fc3.bias.tolist()


def test_a_one_hot_game_is_trained_watched_and_gone_on_with(play, monkeypatch):
    one_hot, = re.findall(r'`(gym\.wrappers\.FlattenObservation\(.*\))`', README)
    run = play(2, one_hot)
    monkeypatch.chdir(run.folder)
    watch, = (code for code in SNIPPETS if 'human' in code)
    names = {}
    exec(watch.replace('runs/LunarLander*', 'runs/FrozenLake*')
         .replace("gym.make('LunarLander-v3', render_mode='human')", one_hot), names)
    assert names['terminated'] or names['truncated']
    best = run.main.agent.Q_eval(names['state']).argmax()  # in the last state it saw
    assert names['action'] == best

    go_on, = (code for code in SNIPPETS if code.startswith('agent.'))
    agent = Agent(0.99, 1.0, 1e-4, (16,), 64, 4)
    exec(go_on.replace('LunarLander', 'FrozenLake'), {'agent': agent, 'T': T})
    assert T.equal(agent.Q_eval.fc2.weight, run.main.agent.Q_eval.fc2.weight)
    # A network that learned on CUDA is loaded without it.
    assert README.count('T.load(') == README.count('map_location=')
