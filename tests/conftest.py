"""Where the tests find the project, and which warnings they forgive."""
import sys

import pytest
import torch as T

import study

sys.path.insert(0, str(study.ROOT))
T.set_num_threads(1)  # two beside another program wait for each other, for minutes


def pytest_configure(config):
    """Turn every warning into an error, but those of Box2D's own SWIG types."""
    config.addinivalue_line('filterwarnings', 'error')
    config.addinivalue_line(
        'filterwarnings',
        'ignore:builtin type (SwigPyPacked|SwigPyObject|swigvarlink) has no '
        '__module__ attribute:DeprecationWarning')


