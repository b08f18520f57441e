"""Edits name code, and fit once or are refused; links to lines are found again."""
import re

import pytest

import edits
import links
from edits import MAIN, number, without_comments, write_edited


@pytest.mark.parametrize('edit, said', [
    ((MAIN, 'no such line', ''), 'no such line.* 0 times, not once'),
    ((MAIN, 'score', ''), 'score.* main_lunar_lander.py [1-9][0-9]* times'),
    ((MAIN, 'not in the video', ''), '0 times'),  # it is in comments alone
    (number('no_such_name', 1), 'no_such_name.* 0 times, not once')])
def test_edit_that_does_not_fit_just_once_is_named(edit, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        write_edited(tmp_path, [edit])


@pytest.mark.parametrize('old', ['lr=0.0002', 'lr = 2e-4', 'lr=100_000', 'lr=10 ** 5'])
@pytest.mark.parametrize('after', [',', ')', ''])
def test_number_is_replaced_whole_however_it_is_written(old, after):
    _, pattern, new = number('lr', 7)
    assert pattern.sub(new, f'{old}{after}\n') == f'lr=7{after}\n'


def test_comments_alone_are_cut_out_and_code_is_found_across_them():
    text = "a = '# no'  # yes\n# yes\n    b(\n        # yes\n        1)\n"
    cut = without_comments(text)
    assert cut == "a = '# no'\n\n    b(\n\n        1)\n"
    assert re.search(edits.pattern('b( 1)'), cut).start() == cut.index('b(')
    assert not re.search(edits.pattern('b('), 'bb(')
    assert re.search(edits.pattern(', b'), 'a, b')


def test_a_link_finds_its_line_again(tmp_path, monkeypatch):
    monkeypatch.setattr(links, 'ROOT', tmp_path)
    (tmp_path / 'a.py').write_text('# lr=1\n\nslr = 2\nf(lr=0.01,\n  eps=1)\n')
    page = '[`lr=0.003`](a.py#L9), [`f(lr=0.01, eps=`](a.py#L1), [it](a.py#L7)'
    assert links.numbered(page) == (
        '[`lr=0.003`](a.py#L4), [`f(lr=0.01, eps=`](a.py#L4), [it](a.py#L7)')
    for page, n in ('[`nothing`](a.py#L1)', 0), ('[`=`](a.py#L1)', 3):
        with pytest.raises(ValueError, match=f'a.py {n} times, not once'):
            links.numbered(page)
