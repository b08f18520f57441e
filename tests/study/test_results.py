"""The figures of the tables and pictures, from made-up runs; and what the pages say."""
import re

import gymnasium as gym
import numpy as np
import pytest

import results
from conftest import drawn
from player import ACROBOT, LANDER, POLE, ROOT, Run
from results import SOLVED, cells, measures, p_value, p_values, solved_at, ten_runs

FIRST_PAGE = (ROOT / 'README.md').read_text(encoding='utf-8')
EARLY, LATE = np.zeros(500), np.full(500, 199.0)
EARLY[50:] = 300  # two thirds of a window of 300 are an average of 200
EARLY[300:350] = 0  # halves a window for a while
FINAL = np.repeat([100.0, 300.0], [25, 75])
BOTH = [Run(EARLY, FINAL, 1400), Run(LATE, FINAL - 1, 3000)]


@pytest.mark.parametrize('runs, threshold, wanted', [
    (BOTH, 200, '1/2 | never | 250 (199), 1 below | 250 (249) | 2'),
    ([Run(EARLY[:400], FINAL - 51, 1000)], 200,
     '1/1 | 117 (117) | 150 (150), 1 below | 199 (199), 1 below | 1'),
    ([Run(LATE, FINAL, 600)] * 2 + [Run(LATE - 1, FINAL, 9000)], 199,
     '2/3 | 100 (never) | 199 (198), 1 below | 250 (250) | 1'),
    ([Run(EARLY / 1000, FINAL / 1000, 10)], 0.7,
     '0/1 | never | 0.30 (0.30), 1 below | 0.25 (0.25), 1 below | 0'),
    (BOTH, None, ' |  | 250 (199) | 250 (249) | 2')])
def test_cells_of_made_up_runs(runs, threshold, wanted):
    assert ' | '.join(cells(runs, threshold)) == wanted


@pytest.mark.parametrize('runs, others, wanted', [
    (BOTH[:1], BOTH[1:], ['1.000', '1.000', '1.000']),
    ([Run(LATE, FINAL + k, 1) for k in (1, 2, 3)], [Run(LATE, FINAL, 1)] * 3,
     ['1.000', '1.000', '0.250']),  # two of eight choices of signs
    ([Run(EARLY, FINAL, 1)] * 5, [Run(LATE, FINAL, 1)] * 5,
     ['0.062', '0.062', '1.000'])])  # two of 32; never solved counts as at game 501
def test_p_values_of_made_up_runs(runs, others, wanted):
    assert p_values(runs, others, 200) == wanted


def test_sign_flips_by_hand():
    # 1 + 2 + 3 is reached with two of eight choices of signs, |-3 + 1 + 1| with all.
    assert p_value([1, 2, 3], [0, 0, 0]) == 2 / 8
    assert p_value([2, 1, 1], [5, 0, 0]) == 8 / 8
    # Of 1, -4, 3 and 4, which make 4, twelve choices of sixteen make 4 or more; so with
    # tenths, whose sums are rounded.
    assert p_value([1, 2, 3, 4], [0, 6, 0, 0]) == 12 / 16
    assert p_value([0.1, 0.2, 0.3, 0.4], [0, 0.6, 0, 0]) == 12 / 16


def test_average_that_just_reaches_the_threshold_solves():
    assert solved_at(np.repeat([-99.0, -101.0], [50, 450]), -100) == 100


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
