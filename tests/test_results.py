"""The figures of the study's page, from made-up runs; and what the pages say."""
import re

import gymnasium as gym
import numpy as np
import pytest

import results
from player import ACROBOT, CAR, FOUR, LANDER, POLE, ROOT, VARIANTS, Run
from results import SOLVED, cells, measures, p_value, p_values, solved_at, ten_runs

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


def test_each_row_is_compared_with_the_one_that_the_page_names():
    with_ = {'video-0.003': 'video-0.001', 'video-0.001': None,  # else this project
             'held-target': 'video-0.001', 'time-outs': 'held-target',
             'norm': 'time-outs', 'defaults': 'norm'}
    assert [other for _, other, _, _ in VARIANTS.values()] == [
        with_.get(name, 'defaults') for name in VARIANTS]


def test_page_is_the_one_that_the_tool_writes():
    assert results.PAGE.read_text('utf-8') == results.page()


def test_links_of_and_to_the_page_lead_somewhere():
    page = results.PAGE.read_text('utf-8')
    first_page = (ROOT / 'README.md').read_text(encoding='utf-8')
    links = re.findall(r'\]\((?!https?:)([\w./-]+)', page)
    assert len(links) > 5
    assert all((results.PAGE.parent / link).exists() for link in links)
    anchors = re.findall(r'\(tests/study/README\.md#([\w-]+)', first_page)
    headings = [heading.lower().replace(' ', '-')
                for heading in re.findall('^## (.*)$', page, re.M)]
    assert len(anchors) > 4 and set(anchors) <= set(headings)


def test_table_has_as_many_p_as_said():
    head, _, *rows = [line.split(' | ') for line in results.table().splitlines()]
    assert {len(row) for row in (head, *rows)} == {9}
    n = sum(len(cell.strip(' |')) == 5 for row in rows for cell in row[-3:])
    assert f'there are {n} p in the table' in ' '.join(results.PAGE.read_text().split())


@pytest.mark.parametrize('name, other, helps, harms', [
    ('held-target', 'video-0.001', [ACROBOT, CAR], [POLE]),
    ('time-outs', 'held-target', [], [CAR]),
    ('norm', 'time-outs', FOUR, []),
    ('defaults', 'norm', FOUR, []),
    ('video-0.003', 'video-0.001', [], [LANDER]),
    ('gradient', 'defaults', [POLE, ACROBOT], [LANDER, ACROBOT, CAR]),
    ('no-norm', 'defaults', [], [LANDER, POLE, CAR]),
    ('done', 'defaults', [], []),
    ('rescaled', 'defaults', [CAR], []),
    ('target', 'no-norm', [], [])])
def test_clear_differences_are_those_that_the_pages_name(name, other, helps, harms):
    better, worse = set(), set()
    for game in FOUR:
        ours, theirs = (measures(ten_runs(row, game), SOLVED[game])
                        for row in (name, other))
        for sign, a, b in zip((-1, 1, 1), ours, theirs):  # solved sooner is better
            a, b = np.minimum(a, 501), np.minimum(b, 501)
            if len(a) == len(b) and p_value(a, b) < 0.05:
                (better if sign * sum(a - b) > 0 else worse).add(game)
    assert (better, worse) == (set(helps), set(harms))
