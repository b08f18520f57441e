"""The rows and runs of the study, what is counted, and what the pages say of it."""
import re

import gymnasium as gym
import pytest

import results
import speed
from edits import AGENT, MAIN, ROOT, without_comments, write_edited
from player import LANDER, PLAYED_WITH, SEEDS, VARIANTS
from results import SOLVED, measures, p_value, solved_at, ten_runs

FIRST_PAGE = (ROOT / 'README.md').read_text(encoding='utf-8')


def test_the_scripts_have_the_numbers_that_the_runs_were_played_with():
    code = ''.join(without_comments((ROOT / script).read_text(encoding='utf-8'))
                   for script in (MAIN, AGENT))
    changed = {}
    for name, value in PLAYED_WITH.items():
        found = re.findall(rf'(?<![\w.]){name} ?= ?(\d[^,)\n]*)', code)
        if {eval(text) for text in found} != {value}:
            changed[name] = found
    assert not changed, (
        f'{changed} are not the numbers that the runs of the study were played with: '
        f'{PLAYED_WITH}. If you only try something, this is expected. If they change '
        'for good, play the study anew: its pages tell what came out with these.')


def test_each_row_learns_differently_from_every_other(play):
    rows = {}
    for name, row in VARIANTS.items():
        env = gym.make('MountainCar-v0', max_episode_steps=80)
        env.unwrapped.metadata = {}  # no recording: it would take longer than the games
        network = play(2, env, edits=row.edits).main.agent.Q_eval
        rows.setdefault(str(network.fc3.weight.tolist()), []).append(name)
    assert [names for names in rows.values() if len(names) > 1] == []


def test_each_edit_whose_speed_is_measured_fits(tmp_path):
    for edits in speed.EDITS.values():
        write_edited(tmp_path, edits)


def test_sign_flips_by_hand():
    # 1 + 2 + 3 is reached with two of eight choices of signs, |-3 + 1 + 1| with all.
    assert p_value([1, 2, 3], [0, 0, 0]) == 2 / 8
    assert p_value([2, 1, 1], [5, 0, 0]) == 8 / 8
    # Of 1, -4, 3 and 4, which make 4, twelve choices of sixteen make 4 or more; so with
    # tenths, whose sums are rounded.
    assert p_value([1, 2, 3, 4], [0, 6, 0, 0]) == 12 / 16
    assert p_value([0.1, 0.2, 0.3, 0.4], [0, 0.6, 0, 0]) == 12 / 16


@pytest.mark.parametrize('path, texts', results.parts().items())
def test_tables_of_the_pages_are_those_that_the_tool_writes(path, texts):
    page = path.read_text(encoding='utf-8')
    assert results.filled(page, texts) == page, 'python tests/study/results.py'


def test_links_of_and_to_the_page_lead_somewhere():
    page = (results.HERE / 'README.md').read_text(encoding='utf-8')
    links = re.findall(r'\]\((?!https?:)([\w./-]+)', page)
    assert len(links) > 5
    assert all((results.HERE / link).exists() for link in links)
    anchors = re.findall(r'\(tests/study/README\.md#([\w-]+)', FIRST_PAGE)
    headings = [heading.lower().replace(' ', '-')
                for heading in re.findall('^## (.*)$', page, re.M)]
    assert len(anchors) > 4 and set(anchors) <= set(headings)


def test_text_of_the_picture_is_of_the_run_of_this_seed():
    seed = PLAYED_WITH['seed']
    runs = ten_runs('defaults', LANDER)
    _, ends, _ = measures(runs, SOLVED[LANDER])
    mine = seed - SEEDS[0]
    at, end = solved_at(runs[mine].scores, 200), ends[mine]
    assert f'passes 200 at game {at} and ends at {end:.0f}' in FIRST_PAGE
    assert f'`seed = {seed}`' in FIRST_PAGE
