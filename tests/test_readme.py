"""What the README shows is there: lines of code, pictures; larger snippets run."""
import re
import sys
from pathlib import Path
from textwrap import dedent, indent

import pytest
import torch as T

import links
from conftest import Homemade
from edits import AGENT, MAIN, ROOT, number

README = (ROOT / 'README.md').read_text(encoding='utf-8')
SNIPPETS = [dedent(code) for code in re.findall(r'```python\n(.*?)```', README, re.S)]


def test_pictures_and_linked_files_are_there():
    # The study looks after the links to it.
    links = re.findall(
        r'(?:\]\(|src="|href=")(?!https?:|tests/study/)([\w./-]+)', README)
    assert len(links) > 30
    assert [link for link in links if not (ROOT / link).exists()] == []
    headings = {heading.lower().replace(' ', '-')
                for heading in re.findall('^## (.*)$', README, re.M)}
    places = headings | {*re.findall(r'<a id="([\w-]+)">', README)}
    anchors = {*re.findall(r'\]\(#([\w-]+)\)', README)}
    assert len(anchors) > 1 and anchors <= places


def test_without_layer_normalisation_the_lines_are_those_of_the_page():
    code = (ROOT / AGENT).read_text(encoding='utf-8')
    code = re.sub(r'F\.layer_norm\((.*), \(self\.fc\d_dims,\)\)', r'\1', code)
    shown, = (snippet for snippet in SNIPPETS if snippet.startswith('x = F.relu'))
    assert indent(shown, 8 * ' ') in code


def test_a_reader_can_keep_the_best_network(play):
    # Averages of the last 100: 50 after game 1, by luck; 1 after game 110; then less.
    scores = [50.0] + [0.0] * 99 + [10.0] * 10 + [-10.0] * 10
    score_of = dict(enumerate(scores, start=2))  # game 1 is the seed's

    def on_step(game):
        return score_of.get(game.n_games, 0.0) / game.length

    start, = (code for code in SNIPPETS if code.startswith('best = -'))
    saves, = (code for code in SNIPPETS if 'avg_score > best:' in code)
    loads, = (code for code in SNIPPETS if "T.load(folder / 'network.pt')" in code)
    saves += 'biases.append(agent.Q_eval.fc3.bias.tolist())\n'
    lists = 'scores, eps_history = [], []'
    run = play(len(scores), Homemade(length=2, on_step=on_step), edits=[
        (MAIN, lists, f'{lists}\n    biases = []\n{indent(start, 4 * " ")}'),
        (MAIN, re.compile(r' *save_network\(.*\n'), indent(saves, 8 * ' ')),
        (MAIN, 'agent.epsilon = 0.0', f'{loads}    agent.epsilon = 0.0')])
    assert run.main.scores == scores
    kept = T.load(run.folder / 'runs/Homemade/network.pt')['fc3.bias'].tolist()
    biases = run.main.biases
    assert kept == biases[109] and kept not in (biases[0], biases[-1])
    assert run.main.agent.Q_eval.fc3.bias.tolist() == kept  # is recorded


def test_the_next_two_steps_value_the_best_action_by_the_copied_network(play):
    fold = README[README.index('The next two steps'):]
    copied, every, valued, chosen = re.findall(r'```python\n +(.*?)```', fold, re.S)
    next_, target = 'q_next = self.Q_eval(new_state_batch)', r'q_target = .*\n'
    agent = play(1, Homemade(length=150), edits=[
        (AGENT, 'import torch as T', 'import copy\nimport torch as T'),
        (AGENT, 'self.state_memory = np', f'{copied}        self.state_memory = np'),
        (AGENT, 'self.Q_eval.optimizer.zero_grad()', every.replace('1000', '100')
         + '        self.Q_eval.optimizer.zero_grad()'),
        (AGENT, next_, valued), (AGENT, re.compile(target), chosen)]).main.agent
    # Copied when 100 were stored, it is neither the first network nor the present one.
    assert not T.equal(agent.Q_next.fc1.weight, agent.Q_eval.fc1.weight)
    T.manual_seed(0)
    assert not T.equal(agent.Q_next.fc1.weight, T.nn.Linear(2, 256).weight)
    for network, values in (agent.Q_eval, [0.0, 1.0]), (agent.Q_next, [5.0, 3.0]):
        for parameter in network.parameters():
            T.nn.init.zeros_(parameter)
        network.fc3.bias.data.copy_(T.tensor(values))
    agent.action_memory[:], agent.terminal_memory[:] = 0, False
    agent.learn()
    # Action 1 is the best, and its copied value 3: q - target is 0 - (2 + 0.99 * 3).
    assert agent.Q_eval.fc3.bias.grad[0] == pytest.approx(2 * -(2 + 0.99 * 3))


LAKE = "gym.wrappers.FlattenObservation(gym.make('FrozenLake-v1'))"
WATCH, = (code.replace('LunarLander*', 'FrozenLake*').replace(
    "gym.make('LunarLander-v3', render_mode='human')", LAKE)
    for code in SNIPPETS if 'human' in code)


def test_a_network_is_watched_with_its_own_code_and_gone_on_with(play, monkeypatch):
    assert f'`{LAKE}`' in README and LAKE in WATCH
    first = play(1, LAKE)
    newest = play(2, LAKE, folder=first.folder, edits=[number('fc1_dims', 32, AGENT)])
    monkeypatch.chdir(first.folder)
    monkeypatch.setattr(sys, 'path', sys.path[:])
    monkeypatch.setattr(sys, 'dont_write_bytecode', False)
    monkeypatch.delitem(sys.modules, 'simple_dqn_torch')  # watch.py is a new process
    names = {}
    exec(WATCH, names)
    assert names['terminated'] or names['truncated']
    assert names['agent'].epsilon == 0  # plays without random actions
    watched, network = names['agent'].Q_eval, newest.main.agent.Q_eval
    assert T.equal(watched.fc1.weight, network.fc1.weight)
    assert {path.suffix for path in Path('runs/FrozenLake-2/code').iterdir()} == {'.py'}

    go_on, = (code for code in SNIPPETS if "T.load('runs/LunarLander/" in code)
    agent = first.main.Agent(0.99, 1.0, 1e-4, (16,), 64, 4)
    exec(go_on.replace('LunarLander', 'FrozenLake'), {'agent': agent, 'T': T})
    assert T.equal(agent.Q_eval.fc2.weight, first.main.agent.Q_eval.fc2.weight)
    # A network that learned on CUDA is loaded without it.
    assert 'map_location=' in WATCH and 'map_location=' in go_on


def test_who_watches_too_early_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match='There is no network yet'):
        exec(WATCH, {})


def test_a_link_finds_its_line_again(tmp_path, monkeypatch):
    monkeypatch.setattr(links, 'ROOT', tmp_path)
    (tmp_path / 'a.py').write_text('# lr=1\n\nslr = 2\nf(lr=0.01,\n  eps=1)\n')
    page = '[`lr=0.003`](a.py#L9), [`f(lr=0.01, eps=`](a.py#L1), [it](a.py#L7)'
    assert links.numbered(page) == (
        '[`lr=0.003`](a.py#L4), [`f(lr=0.01, eps=`](a.py#L4), [it](a.py#L7)')
    for page, n in ('[`nothing`](a.py#L1)', 0), ('[`=`](a.py#L1)', 3):
        with pytest.raises(ValueError, match=f'a.py {n} times, not once'):
            links.numbered(page)
