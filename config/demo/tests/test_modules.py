"""The page preloads exactly what its module imports."""

from config.demo.modules import MODULES
from realtime.tests.test_doorbell_tag import imported


def test_the_modules_are_those_that_the_browser_loads():
    assert set(MODULES) == imported("demo/demo.js", set())
    assert len(MODULES) == len(set(MODULES))
