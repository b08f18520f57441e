"""Counts and draws the runs of the study: writes tables and pictures.

    python tests/study/results.py

Tables stand in README.md and in the project's own page between marks, such as
<!-- four games --> and <!-- end -->; nothing else is touched. Everything else there is
prose. If rows of this project's own (defaults) are played anew, these must be read
again:

- here: all below the table of four games;
- on the project's page: alt texts of the pictures, when the first and the last of ten
  runs were solved, the experiments, and what is said beside the tables.
"""
import re
from itertools import product
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from player import (
    ACROBOT, CAR, CLIFF, FOUR, LAKE, LANDER, N_GAMES, POLE, ROOT, SEEDS, TAXI, VARIANTS,
    finished_runs)

HERE = Path(__file__).resolve().parent
PICTURES = ROOT / '.github'
# An average of 100 games that solves the game; CliffWalking names none.
SOLVED = {LANDER: 200, POLE: 475, ACROBOT: -100, CAR: -110,
          LAKE: 0.7, CLIFF: None, TAXI: 8}
# Each is the one before and one change more: on the project's page, and in study.png.
LADDER = ['video-0.001', 'held-target', 'time-outs', 'norm', 'defaults']
LADDER_LABELS = [VARIANTS[name].label for name in LADDER]
OURS, EDITED = 'this project', 'edited as the title says'
COLORS = dict(zip(LADDER_LABELS, colormaps['plasma_r'](np.linspace(0.1, 0.9, 5))))
COLORS |= {OURS: COLORS[LADDER_LABELS[-1]], EDITED: 'C2'}
FINISHED = finished_runs()


def ten_runs(name, game):
    """The ten runs of a row; none until all are played."""
    runs = [FINISHED.get((name, game, seed)) for seed in SEEDS]
    return runs if all(runs) else []


def averages(scores, n=100):
    """Average of the last n games, from game n on."""
    # Divided last: sums of whole numbers are exact.
    return np.convolve(scores, np.ones(n), mode='valid') / n


def solved_at(scores, threshold, n=100):
    """The first game whose average of the last n reaches threshold, or infinity."""
    good = np.flatnonzero(averages(scores, n) >= threshold)
    return n + good[0] if good.size else np.inf


def measures(runs, threshold):
    """Of each run: game solved, average of games 401 to 500, of the final network."""
    return ([solved_at(run.scores, threshold) for run in runs] if threshold else [],
            [np.mean(run.scores[-100:]) for run in runs],
            [np.mean(run.final_scores) for run in runs])


def p_value(a, b):
    """Paired sign-flip test: how often random signs make the sum of a - b as large."""
    signs = np.array(list(product([1, -1], repeat=len(a))))
    sums = np.abs(signs @ (np.array(a) - b))
    return np.mean(sums >= sums[0] - 1e-9)


def p_values(runs, others, threshold):
    """p of each measure, as texts. Never solved counts as solved one game too late."""
    pairs = zip(measures(runs, threshold), measures(others, threshold))
    return [f'{p_value(*np.minimum(pair, N_GAMES + 1)):.3f}' for pair in pairs]


def cells(runs, threshold):
    """The cells of a row: how many are solved; median and worst of each measure; steps.

    threshold: the average of 100 games that solves the game, or None.
    """
    def game(values):
        median, latest = (f'{np.ceil(value):.0f}' if np.isfinite(value) else 'never'
                          for value in (np.median(values), max(values)))
        return median if median == 'never' else f'{median} ({latest})'

    def score(values):
        digits = 2 if threshold and abs(threshold) < 1 else 0
        below = sum(value < threshold for value in values) if threshold else 0
        return (f'{np.median(values):.{digits}f} ({min(values):.{digits}f})'
                f'{f", {below} below" if below else ""}')

    at, ends, finals = measures(runs, threshold)
    solved = [f'{np.isfinite(at).sum()}/{len(at)}', game(at)] if at else ['', '']
    steps = np.median([run.steps for run in runs])
    return [*solved, score(ends), score(finals), f'{steps / 1000:.0f}']


def markdown(head, rows):
    """The lines of a table in Markdown, from lists of cells; short rows are filled."""
    filled = [row + [''] * (len(head) - len(row)) for row in rows]
    lines = [f'| {" | ".join(row)} |' for row in [head, *filled]]
    return '\n'.join([lines[0], '|' + ' --- |' * len(head), *lines[1:]])


COLUMNS = ['solved', 'at game', 'games 401 to 500', 'final network', 'steps, thousands']


def table():
    """The table of the four games that the hyperparameters were chosen by."""
    rows = []
    for game in FOUR:
        rows.append([f'**{game}, {SOLVED[game]}**'])
        for name, row in VARIANTS.items():
            if runs := ten_runs(name, game):
                others = ten_runs(row.beside, game)
                p = p_values(runs, others, SOLVED[game]) if others else []
                rows.append([row.label, *cells(runs, SOLVED[game]), *p])
    p_columns = ['p, at game', 'p, games 401 to 500', 'p, final network']
    return markdown(['game, run', *COLUMNS, *p_columns], rows)


def further_table():
    """The table of the three games that chose nothing."""
    return markdown(['game', *COLUMNS], [
        [f'{game}, {SOLVED[game]}' if SOLVED[game] else game,
         *cells(ten_runs('defaults', game), SOLVED[game])]
        for game in (LAKE, CLIFF, TAXI)])


def short(game):
    """LunarLander for LunarLander-v3."""
    return game.partition('-v')[0]


def overview():
    """The ladder on the project's page: bold if clearly better than the row above."""
    rows = []
    for name in LADDER:
        row = [VARIANTS[name].label]
        for game in FOUR:
            runs = ten_runs(name, game)
            at, ends, _ = measures(runs, SOLVED[game])
            cell = f'{np.isfinite(at).sum()} solved, {np.median(ends):.0f}'
            others = ten_runs(VARIANTS[name].beside, game)
            marks = {1.0: '**', -1.0: '*'}
            for sign in clear(runs, others, SOLVED[game]) if others else []:
                cell = marks[sign] + cell + marks[sign]
            row.append(cell)
        rows.append(row)
    heads = [f'{short(game)}, {SOLVED[game]}' for game in FOUR]
    return markdown(['', *heads], rows)


def clear(runs, others, threshold):
    """1.0 if some measure is clearly better than that of others, -1.0 if worse."""
    signs = set()
    pairs = zip(measures(runs, threshold), measures(others, threshold))
    for better, pair in zip((-1, 1, 1), pairs):  # sooner is better
        a, b = np.minimum(pair, N_GAMES + 1)
        if p_value(a, b) < 0.05:
            signs.add(better * np.sign(np.mean(a) - np.mean(b)))
    return signs


def seven_games():
    """The table on the project's page: this project in all its games."""
    rows = []
    for game in (*FOUR, LAKE, CLIFF, TAXI):
        shown = [SOLVED[game], *cells(ten_runs('defaults', game), SOLVED[game])[:3]]
        medians = [str(cell or '–').split(' (')[0] for cell in shown]
        rows.append([short(game), *medians])
    return markdown(['', 'solved at', 'runs solved', 'at game', 'average at the end'],
                    rows)


def two_averages():
    """How many runs of LunarLander ever average 200 over 21 games, and over 100."""
    rows = []
    for name in ('video-0.003', 'video-0.001', 'defaults'):
        row = [VARIANTS[name].label.removeprefix('and a rate that falls: ')]
        for n in (21, 100):
            at = [solved_at(run.scores, 200, n) for run in ten_runs(name, LANDER)]
            games = ', '.join(f'{game:.0f}' for game in at if np.isfinite(game))
            row.append(f'{np.isfinite(at).sum()}: {games}'.removesuffix(': '))
        rows.append(row)
    return markdown(['', 'over 21 games', 'over 100 games'], rows)


def parts():
    """What the tool writes: {page: {mark: text}}."""
    return {HERE / 'README.md': {'four games': table(),
                                 'further games': further_table(),
                                 'two averages': two_averages()},
            ROOT / 'README.md': {'seven games': seven_games(), 'ladder': overview()}}


def filled(page, texts):
    """A page with each text between its marks, which must be there once."""
    for mark, text in texts.items():
        place = re.compile(
            rf'(?<=<!-- {mark} -->\n\n)((?!<!--).)*?(?=\n\n<!-- end -->)', re.S)
        page, n = place.subn(lambda _: text, page)
        if n != 1:
            raise ValueError(f'<!-- {mark} --> is there {n} times, not once')
    return page


def draw(filename, panels, ranged):
    """Draw 100-game averages: the median over the seeds, and the range of some.

    panels: four of (title, game, {label: variant, ...}). ranged: labels with a range.
    """
    fig = Figure(figsize=(6.4, 5), layout='constrained')
    x, lines = np.arange(100, 501), {}
    for ax, (title, game, shown) in zip(fig.subplots(2, 2, sharex=True).flat, panels):
        ax.set(title=title, xticks=range(100, 501, 100))
        for label, name in shown.items():
            color = COLORS[label]
            curves = np.array([averages(run.scores) for run in ten_runs(name, game)])
            low, high = curves.min(axis=0), curves.max(axis=0)
            if label in ranged:
                ax.fill_between(x, low, high, color=color, alpha=0.12)
                ax.plot(x, low, x, high, color=color, linewidth=0.8)
            lines[label], = ax.plot(x, np.median(curves, axis=0), color=color,
                                    linewidth=3.5 if name == 'defaults' else 2)
        solved = ax.axhline(SOLVED[game], color='black', linestyle='--', linewidth=1)
        if game == ACROBOT:  # the video's code ends at -500
            ax.set_ylim(-200, -70)
    lines['solved'] = solved  # the last in the legend
    fig.supxlabel('Game', fontsize='medium')
    fig.supylabel('Average of the last 100 games', fontsize='medium')
    fig.legend(lines.values(), lines, loc='outside upper center', ncols=2,
               title='thick: median of ten runs; thin: their range')
    fig.savefig(PICTURES / filename, dpi=200)


if __name__ == '__main__':
    for path, texts in parts().items():
        page = filled(path.read_text(encoding='utf-8'), texts)
        path.write_text(page, encoding='utf-8', newline='\n')
    ladder = dict(zip(LADDER_LABELS, LADDER))
    draw('study.png', [(short(game), game, ladder) for game in FOUR],
         ranged=[LADDER_LABELS[0], LADDER_LABELS[-1]])
    draw('experiments.png', [
        (f'{short(game)}: {title}', game, {OURS: 'defaults', EDITED: name})
        for game, title, name in [
            (CAR, 'states rescaled', 'rescaled'), (POLE, 'no layer norm.', 'no-norm'),
            (POLE, 'constant rate', 'norm'), (LANDER, 'memory of 64', 'no-replay')]],
        ranged=[OURS, EDITED])
