"""Renders one chat template; a program of its own, so that it can be stopped.

Reads a JSON object from standard input, ``template``, ``turns``, ``tokens``, ``seconds``, ``bytes``
and ``characters``, and writes one with ``text`` or ``error``. Run by :mod:`summand.model.chat`.
"""

import json
import resource
import sys
from typing import Any

from transformers.utils.chat_template_utils import render_jinja_template


def main() -> None:
    """Render within the bounds given on standard input."""
    task: dict[str, Any] = json.load(sys.stdin)
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + task["seconds"]
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, seconds)
    _limit(resource.RLIMIT_AS, task["bytes"])
    try:
        (text,), _ = render_jinja_template(
            conversations=[task["turns"]],
            chat_template=task["template"],
            add_generation_prompt=True,
            **task["tokens"],
        )
        if len(text) > task["characters"]:
            raise ValueError(f"it writes more than {task['characters']:,} characters")
        answer = {"text": text}
    except MemoryError:
        answer = {"error": f"it takes more than {task['bytes'] >> 20} MiB of memory"}
    except RecursionError:
        answer = {"error": "too many levels within each other"}
    except Exception as e:
        answer = {"error": f"{type(e).__name__}: {' '.join(str(e).split())[:300]}"}
    sys.stdout.write(json.dumps(answer))


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(what, (most, hard))


if __name__ == "__main__":
    main()
