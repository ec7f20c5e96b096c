"""Run cocotb tests."""

import contextlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from summand.cosim.bench import Bench
from summand.cosim.job import JOB
from summand.isa import SummandError

__all__ = ["CosimError", "run_cocotb"]


class CosimError(SummandError):
    """A cocotb test has failed, or none ran."""


def run_cocotb(
    bench: Bench,
    test_module: str,
    *,
    folder: Path,
    job: Mapping[str, Any] | None = None,
    seed: int = 1,
    tests: str | None = None,
) -> None:
    """Run the cocotb tests of a module on a built simulator.

    Parameters
    ----------
    bench : Bench
        The simulator.
    test_module : str
        Importable name of the module.
    folder : Path
        The folder to run in, which keeps logs and results.
    job : mapping, optional
        Arguments for the tests, as JSON values; see :mod:`summand.cosim.job`.
    seed : int
        Seed of cocotb's, and so of the tests', random numbers.
    tests : str, optional
        Regular expression; only tests whose names match it run.

    Raises
    ------
    CosimError
        If a test fails, or no test runs.
    """
    from cocotb_tools.check_results import get_results
    from cocotb_tools.runner import get_runner

    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(bench.executable, folder / bench.file_name)
    fields = json.loads(bench.config.to_json())
    results = folder.resolve() / "results.xml"
    # Only the results file is reliable: on a failure cocotb's runner exits under pytest and returns
    # normally elsewhere, and a run of no tests passes.
    with contextlib.suppress(SystemExit):
        get_runner(bench.simulator.value).test(
            hdl_toplevel=bench.name,
            hdl_toplevel_lang="verilog",
            test_module=test_module,
            build_dir=folder,
            test_dir=folder,
            results_xml=str(results),
            seed=seed,
            test_filter=tests,
            extra_env={JOB: json.dumps({"config": fields, **(job or {})})},
        )
    try:
        count, failed = get_results(results)
    except RuntimeError as e:
        raise CosimError(f"{test_module}: {e}") from None
    if failed or not count:
        raise CosimError(f"{test_module}: {failed} of {count} cocotb tests failed; see {results}")
