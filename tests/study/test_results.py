"""What the tool counts and draws, and what the pages say of it."""
import re

import gymnasium as gym
import numpy as np
import pytest

import results
from conftest import drawn
from player import ACROBOT, LANDER, POLE, ROOT, Run
from results import SOLVED, measures, p_value, solved_at, ten_runs

FIRST_PAGE = (ROOT / 'README.md').read_text(encoding='utf-8')


def test_sign_flips_by_hand():
    # 1 + 2 + 3 is reached with two of eight choices of signs, |-3 + 1 + 1| with all.
    assert p_value([1, 2, 3], [0, 0, 0]) == 2 / 8
    assert p_value([2, 1, 1], [5, 0, 0]) == 8 / 8
    # Of 1, -4, 3 and 4, which make 4, twelve choices of sixteen make 4 or more; so with
    # tenths, whose sums are rounded.
    assert p_value([1, 2, 3, 4], [0, 6, 0, 0]) == 12 / 16
    assert p_value([0.1, 0.2, 0.3, 0.4], [0, 0.6, 0, 0]) == 12 / 16


def test_thresholds_are_those_of_gymnasium():
    for game, threshold in SOLVED.items():
        assert gym.spec(game).reward_threshold == threshold


def test_a_row_is_there_when_its_ten_runs_are(monkeypatch):
    monkeypatch.setattr(results, 'FINISHED', {
        ('target', POLE, seed): seed for seed in reversed(range(60, 80))})
    assert ten_runs('target', POLE) == [*range(70, 80)] and not ten_runs('norm', POLE)
    del results.FINISHED['target', POLE, 74]
    assert not ten_runs('target', POLE)


@pytest.mark.parametrize('game, limits', [(POLE, None), (ACROBOT, (-200, -70))])
def test_a_panel_has_median_range_and_the_line_that_solves(
        game, limits, tmp_path, monkeypatch):
    runs = np.random.default_rng(0).integers(-300, 500, size=(2, 10, 500))
    monkeypatch.setattr(results, 'PICTURES', tmp_path)
    monkeypatch.setattr(results, 'FINISHED', {
        (name, game, seed): Run(scores, [], 0)
        for name, some in zip(['defaults', 'norm'], runs)
        for seed, scores in zip(range(70, 80), some)})
    with drawn() as figures:
        results.draw('a.png', [('A game', game, {'defaults': 'ours', 'norm': 'theirs',
                                                 'no-norm': 'not played'})],
                     ['norm'], shape=(1, 1), size=(5, 4))
    ax, = figures[0].axes
    # Averages of games 1 to 100, 2 to 101, ... 401 to 500, sorted by size.
    ours, theirs = np.sort([[[run[i:i + 100].mean() for i in range(401)]
                             for run in some] for some in runs], axis=1)
    median, low, high, their_median, solved = ax.lines
    for line, values in [
            (median, (ours[4] + ours[5]) / 2), (low, theirs[0]), (high, theirs[9]),
            (their_median, (theirs[4] + theirs[5]) / 2)]:
        np.testing.assert_allclose(line.get_xydata().T, [range(100, 501), values])
    assert {*solved.get_ydata()} == {SOLVED[game]} and ax.get_title() == 'A game'
    assert limits is None or ax.get_ylim() == limits
    legend, = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == [
        'ours', 'theirs', 'solved']
    colors = [tuple(line.get_color()) for line in ax.lines[:4]]
    assert colors[0] != colors[1] and {*colors[1:]} == {colors[3]}


@pytest.mark.parametrize('path, texts', results.parts().items())
def test_tables_of_the_pages_are_those_that_the_tool_writes(path, texts):
    page = path.read_text(encoding='utf-8')
    assert results.filled(page, texts) == page, 'python tests/study/results.py'


def test_only_what_stands_between_its_marks_is_replaced():
    page = 'a\n<!-- b -->\n\nold\n\n<!-- end -->\nc\n\n<!-- end -->'
    assert results.filled(page, {'b': r'n\1w'}) == page.replace('old', r'n\1w')
    for mark, page in [('c', page), ('a', f'<!-- a -->\n\n<!-- end -->\n{page}'),
                       ('a', f'<!-- a -->\n\n{page}')]:  # without an end of its own
        with pytest.raises(ValueError, match=f'<!-- {mark} --> is there 0 times'):
            results.filled(page, {mark: 'new'})


def test_links_of_and_to_the_page_lead_somewhere():
    page = (results.HERE / 'README.md').read_text(encoding='utf-8')
    links = re.findall(r'\]\((?!https?:)([\w./-]+)', page)
    assert len(links) > 5
    assert all((results.HERE / link).exists() for link in links)
    anchors = re.findall(r'\(tests/study/README\.md#([\w-]+)', FIRST_PAGE)
    headings = [heading.lower().replace(' ', '-')
                for heading in re.findall('^## (.*)$', page, re.M)]
    assert len(anchors) > 4 and set(anchors) <= set(headings)


def test_caption_and_alt_text_are_of_the_run_of_the_scripts_seed():
    seed, = re.findall(
        r'^ *seed = (\d+)', (ROOT / 'main_lunar_lander.py').read_text('utf-8'), re.M)
    runs = ten_runs('defaults', LANDER)
    _, ends, _ = measures(runs, SOLVED[LANDER])
    mine = int(seed) - 70
    assert sorted(ends)[5] == ends[mine]  # five below it: the fifth of ten
    at, end = solved_at(runs[mine].scores, 200), ends[mine]
    assert f'passes 200 at game {at} and ends at {end:.0f}' in FIRST_PAGE
    assert f'`seed = {seed}`' in FIRST_PAGE
