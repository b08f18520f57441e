"""Looks after the lines of code that README.md links to.

    python tests/links.py          # writes the line numbers of the links anew
    python tests/links.py check    # says what is wrong, and writes nothing

Each link to a line quotes its code, so that the line is found again. Each mark in the
code, such as "not in the video", needs a row in the table of differences.
"""
import re
import sys

from edits import ROOT, SCRIPTS, pattern, without_comments

README = ROOT / 'README.md'
LINK = re.compile(r'\[`([^`]+)`\]\((\w+\.py)#L\d+\)')
MARKS = '# the video:', '# not in the video'


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


def without_row(page):
    """The marked lines of code that no row of the page's table of differences names."""
    rows = {(script, line_of(code, script)) for row in re.findall(r'^\| .*', page, re.M)
            for code, script in LINK.findall(row)}
    missing = []
    for script in SCRIPTS:
        lines = (ROOT / script).read_text(encoding='utf-8').splitlines()
        for i, line in enumerate(lines):
            if any(mark in line for mark in MARKS):
                while lines[i].lstrip().startswith('#'):  # it is of the line below
                    i += 1
                if (script, i + 1) not in rows:
                    missing.append(f'{script}, line {i + 1}: {lines[i].strip()}')
    return missing


if __name__ == '__main__':
    old = README.read_text(encoding='utf-8')
    page = numbered(old)
    if sys.argv[1:] != ['check']:
        README.write_text(page, encoding='utf-8', newline='\n')
    elif page != old:
        sys.exit('line numbers of README.md are wrong; to mend them: '
                 'python tests/links.py')
    if missing := without_row(page):
        sys.exit('\n'.join(['without a row in README.md:', *missing]))
