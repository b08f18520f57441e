"""Writes the line numbers of README.md's links anew: python tests/links.py

Each link to a line quotes its code, so that the line is found again.
"""
import re

from edits import ROOT, pattern, without_comments

README = ROOT / 'README.md'
LINK = re.compile(r'\[`([^`]+)`\]\((\w+\.py)#L\d+\)')


def line_of(code, script):
    """The number of the line of a script where a piece of code begins.

    A number at its end stands for any, and for None, since a reader may edit it.
    Raises ValueError unless the code is there just once.
    """
    text = without_comments((ROOT / script).read_text(encoding='utf-8'))
    stem = re.sub(r'(?<=[= ])\d\S*$', '', code)
    found = pattern(stem) + (r'\s*(\d|None)' if stem != code else '')
    starts = [match.start() for match in re.finditer(found, text)]
    if len(starts) != 1:
        raise ValueError(f'{code!r} is in {script} {len(starts)} times, not once')
    return text.count('\n', 0, starts[0]) + 1


def numbered(page):
    """The text of the page with the numbers of its links as they should be."""
    return LINK.sub(
        lambda link: f'[`{link[1]}`]({link[2]}#L{line_of(link[1], link[2])})', page)


if __name__ == '__main__':
    page = numbered(README.read_text(encoding='utf-8'))
    README.write_text(page, encoding='utf-8', newline='\n')
