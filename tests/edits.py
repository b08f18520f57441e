"""Copies of the scripts, edited as a reader edits them.

An edit is (script, old, new). old is a piece of code, or a compiled pattern. Comments
do not count: they are cut out before, so that each of them can be reworded.
"""
import io
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAIN, AGENT = 'main_lunar_lander.py', 'simple_dqn_torch.py'
SCRIPTS = [MAIN, AGENT, 'utils.py']


def without_comments(text):
    """A script's text without its comments; each line keeps its number."""
    lines = text.split('\n')
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    return '\n'.join(lines)


def pattern(code):
    """A pattern that finds a piece of code; where it has a space, lines may break."""
    start = r'(?<!\w)' if code[0].isidentifier() else ''
    return start + r'\s+'.join(map(re.escape, code.split()))


def number(name, value, script=MAIN):
    """The edit that sets a number, such as lr=0.0002, whatever it is now."""
    return script, re.compile(rf'(?<![\w.]){name} ?= ?\d[^,)\n]*'), f'{name}={value}'


def games(n, seed, made):
    """The edits that set the number of games, the seed, and how the game is made.

    Wrappers around the game go: all from env = to check_space is replaced.
    """
    return [number('n_games', n), (MAIN, re.compile(r'\bseed = \S+'), f'seed = {seed}'),
            (MAIN, re.compile(r'(?<=    )env = .*?(?=\s+check_space\()', re.S),
             f'env = {made}')]


def write_edited(folder, edits):
    """Put the three scripts into a folder, edited and without comments.

    Raises ValueError unless the old code of each edit is in its script just once.
    """
    texts = {name: without_comments((ROOT / name).read_text(encoding='utf-8'))
             for name in SCRIPTS}
    for script, old, new in edits:
        found = old if isinstance(old, re.Pattern) else re.compile(pattern(old))
        texts[script], n = found.subn(lambda _: new, texts[script])
        if n != 1:
            raise ValueError(f'{old!r} is in {script} {n} times, not once')
    for script, text in texts.items():
        (folder / script).write_text(text, encoding='utf-8')
