"""The job of a bench: JSON in one environment variable."""

import json
import os
from typing import Any

from summand.isa import EngineConfig

__all__ = ["JOB", "read_config", "read_job"]

#: The environment variable.
JOB = "SUMMAND_JOB"


def read_job() -> dict[str, Any]:
    """Return the job given to :func:`~summand.cosim.runner.run_cocotb`, and ``config``'s fields."""
    return json.loads(os.environ[JOB])


def read_config() -> EngineConfig:
    """Return the configuration under test."""
    return EngineConfig.from_dict(read_job()["config"])
