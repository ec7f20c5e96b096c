"""A test whose tools are missing is skipped, or fails with --no-skips."""

from pathlib import Path

import pytest

TESTS = """
import pytest

@pytest.mark.needs("iverilog")
def test_marked():
    pass

def test_by_fixture(need):
    need("iverilog")

@pytest.mark.needs("iverilog", "dask")
def test_two():
    pass

@pytest.mark.skip("on a whim")
def test_skipped_otherwise():
    pass

@pytest.mark.xfail(strict=True)
def test_expected_to_fail():
    assert False

def test_without_needs():
    pass
"""
MODULE = "import pytest; pytest.importorskip('no_such_module')"


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A suite with our conftest.py, on a machine that has no program."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeconftest((Path(__file__).parents[1] / "conftest.py").read_text())
    pytester.makeini("[pytest]\nmarkers = needs")
    pytester.makepyfile(test_suite=TESTS, test_module=MODULE)
    return pytester


def test_what_is_missing_is_said_with_its_remedy(suite):
    result = suite.runpytest("-rs")
    result.assert_outcomes(skipped=5, xfailed=1, passed=1)
    result.stdout.fnmatch_lines("*iverilog is not on PATH; apt-get install iverilog")


def test_nothing_is_skipped_where_nothing_may_lack(suite):
    result = suite.runpytest("--no-skips", "--continue-on-collection-errors")
    result.assert_outcomes(failed=1, errors=4, xfailed=1, passed=1)
    result.stdout.fnmatch_lines("*iverilog is not on PATH; apt-get install iverilog (skipped*")


def test_an_unknown_need_is_an_error(pytester, suite):
    pytester.makepyfile(test_suite="import pytest\n@pytest.mark.needs('luck')\ndef test(): pass")
    suite.runpytest("test_suite.py").assert_outcomes(errors=1)
