"""Where the tests find the project, and which warnings they forgive."""
import re
import signal
import sys

import pytest

import study

sys.path.insert(0, str(study.ROOT))


def pytest_configure(config):
    """Turn every warning into an error, but those of Box2D's own SWIG types."""
    config.addinivalue_line('filterwarnings', 'error')
    config.addinivalue_line(
        'filterwarnings',
        'ignore:builtin type (SwigPyPacked|SwigPyObject|swigvarlink) has no '
        '__module__ attribute:DeprecationWarning')


@pytest.fixture
def edit_main(tmp_path):
    """Copy the three scripts to a folder and edit main as a user does; its path."""
    def edit(*replacements):
        study.edited(tmp_path, [(study.MAIN, old, new) for old, new in replacements])
        return tmp_path / study.MAIN
    return edit


@pytest.fixture
def episodes():
    """Parse a run's printed lines: (number, score, average, epsilon) of each game."""
    number = r'(-?\d+\.\d\d)'
    line = re.compile(rf'episode (\d+) score {number} average score {number} '
                      rf'epsilon {number}')

    def parse(output):
        found = [line.fullmatch(row) for row in output.splitlines()]
        return [tuple(map(float, match.groups())) for match in found if match]
    return parse


@pytest.fixture
def keep_sigint():
    """Put Python's own Ctrl-C back after a test that replaces it."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)
