"""What the README shows is there: lines of code, pictures, and a snippet that runs."""
import re

import pytest
import torch as T

from simple_dqn_torch import DeepQNetwork
from study import ROOT, TARGET_NETWORK, table

README = (ROOT / 'README.md').read_text(encoding='utf-8')
LINK = r'\[`([^`]+)`\]\((\w+\.py)#L(\d+)\)'


@pytest.mark.parametrize('code, script, number', re.findall(LINK, README))
def test_linked_line_is_there(code, script, number):
    lines = (ROOT / script).read_text(encoding='utf-8').splitlines()
    found = [i for i, line in enumerate(lines, 1) if code in line]
    assert int(number) in found, f'{code!r} is in line {found} of {script}'


def departures(script):
    """Numbers of the lines that a comment marks as other than in the video."""
    lines = (ROOT / script).read_text(encoding='utf-8').splitlines()
    for i, line in enumerate(lines):
        if '# the video:' in line or '# not in the video' in line:
            while lines[i].lstrip().startswith('#'):  # the comment of the line below
                i += 1
            yield i + 1


def test_the_table_beside_the_video_and_the_marks_in_the_code_agree():
    section = re.search(r'^## Beside the video.*?(?=^## )', README, re.M | re.S)[0]
    marked = {(path.name, number) for path in ROOT.glob('*.py')
              for number in departures(path.name)}
    linked = set()
    for row in re.findall(r'^\| "(.*)', section, re.M):
        links = {(script, int(number)) for _, script, number in re.findall(LINK, row)}
        linked |= links
        # A row says that the video differs exactly if one of its lines is marked.
        assert bool(links & marked) == bool(re.search(r'[Tt]he video', row)), row
    assert len(marked) > 20 and marked <= linked


def test_pictures_and_linked_files_are_there():
    links = re.findall(r'\]\((?!https?:)([\w./-]+)', README)
    links += re.findall(r'(?:src|href)="(?!https?:)([^"#]+)"', README)
    assert len(links) > 30
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_table_is_that_of_the_runs():
    assert '\n'.join(table()) in README


def test_target_network_is_the_one_measured():
    for _, _, lines in TARGET_NETWORK:
        assert all(line.strip() in README for line in lines.splitlines()
                   if 'next' in line)


def test_snippet_loads_the_weights_and_plays(tmp_path, monkeypatch):
    snippet, = (block for block in re.findall(r'```python\n(.*?)```', README, re.DOTALL)
                if 'render_mode' in block)
    assert len(snippet.strip().splitlines()) <= 10

    # A network that fires the left engine whatever it sees: the lander tips over.
    network = DeepQNetwork(0.0003, [8], 256, 256, 4)
    with T.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.fc3.bias[1] = 1
    T.save(network.state_dict(), tmp_path / 'LunarLander.pt')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('SDL_VIDEODRIVER', 'dummy')
    names = {}
    exec(snippet, names)
    names['env'].close()
    assert names['action'] == 1 and names['terminated']
