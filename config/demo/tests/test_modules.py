"""The page preloads exactly what its modules import."""

from config.demo.modules import STAGE, WELCOME
from realtime.tests.test_doorbell_tag import imported


def test_the_modules_are_those_that_the_browser_loads():
    welcome = imported("demo/demo.js", set())
    assert set(WELCOME) == welcome
    assert set(STAGE) == {"demo/stage.js", *imported("demo/stage.js", set())} - welcome
    assert len({*WELCOME, *STAGE}) == len([*WELCOME, *STAGE])
