"""Build an engine's simulator as a shared library."""

import functools
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from summand.isa import EngineConfig
from summand.rtl.emit import emit_verilog
from summand.rtl.feeds.axi import MODULE, PLAYED_MODULE, AxiEngine
from summand.rtl.feeds.block import AxiBlock
from summand.verilated.cache import cached, default_cache
from summand.verilated.compile import compile_model
from summand.verilated.tools import Verilator, content_key, find_verilator

__all__ = [
    "build_library",
    "compile_harness",
    "control_file",
    "engine_verilog",
    "harness_arguments",
]

_VERILATOR_FLAGS = (
    *("-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert"),
    *("-Wno-fatal", "-Wno-lint"),
)

# -O2 takes a tenth longer than -O1 to build and runs a tenth faster; -O3 and the build machine's
# own instructions bring nothing. Code that runs only once is not worth the compiler's time.
_MAKE_FLAGS = ("OPT_FAST=-O2", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1")

_SHARED = "-fPIC"

_HARNESS = Path(__file__).with_name("harness.cpp")


@functools.lru_cache(maxsize=8)
def engine_verilog(config: EngineConfig) -> str:
    """Return the Verilog of ``config``'s engine, the same that ``summand generate`` writes."""
    return emit_verilog(AxiEngine(config), name=MODULE, config=config)


@functools.lru_cache(maxsize=8)
def played_verilog(config: EngineConfig, memory_beats: int) -> str:
    """Return the Verilog of an engine with a memory of so many beats on AXI4."""
    block = AxiBlock(config=config, memory_beats=memory_beats)
    return emit_verilog(block.top(), name=block.module, config=config)


def control_file(top: str, *, played: bool = False) -> str:
    """Return Verilator's control file for an engine within ``top``.

    Rows and columns stay functions of their own, which are compiled once for all instances: eight
    rows build in less time than flattened ones, and run a little faster. If it is ``played``, the
    stream that its player makes can be looked at.
    """
    stream = "".join(
        f'public_flat_rd -module "{top}_hosted_player_out" -var "o__{member}"\n'
        for member in ("valid", "ready")
        if played
    )
    inlined = "".join(f'no_inline -module "{top}_{part}"\n' for part in ("row", "column"))
    return f"`verilator_config\n{inlined}{stream}"


def build_library(
    config: EngineConfig,
    *,
    memory_beats: int = 0,
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
    anew: bool = False,
) -> Path:
    """Return the shared library that simulates ``config``'s engine, building it if need be.

    Libraries are kept by content: Verilog, harness, flags and Verilator's version.

    Parameters
    ----------
    config : EngineConfig
        The engine.
    memory_beats : int
        Size of its memory on AXI4; 0: none.
    cache : Path, optional
        Where to keep it; :func:`~summand.verilated.cache.default_cache` if not given.
    progress : callable, optional
        Called with a line of text when a step starts that takes seconds.
    anew : bool
        Build even if the file exists, because it cannot be used.

    Raises
    ------
    ToolError
        If a tool is missing or fails, or the cache cannot be written.
    """
    tool = find_verilator()
    if memory_beats:
        top, source = PLAYED_MODULE, played_verilog(config, memory_beats)
    else:
        top, source = MODULE, engine_verilog(config)
    sizes = {"SUMMAND_BEAT_BYTES": config.beat_bytes}
    if memory_beats:
        sizes["SUMMAND_MEMORY_BEATS"] = memory_beats
    arguments = harness_arguments(top, sizes, (f"{top}.v", "control.vlt", _HARNESS.name))
    control = control_file(top, played=memory_beats > 0)
    parts = (tool.version, source, _HARNESS.read_text(), control, *arguments)
    digest = content_key(*parts, *_MAKE_FLAGS)
    cache = cache or default_cache()

    def build(folder: Path) -> Path:
        if progress:
            progress("building the simulator (once for each engine)")
        (folder / f"{top}.v").write_text(source)
        (folder / "control.vlt").write_text(control)
        shutil.copy(_HARNESS, folder)
        return compile_harness(tool, folder, arguments, cache)

    return cached(cache, f"{digest}.so", build, anew=anew)


def harness_arguments(top: str, sizes: Mapping[str, int], files: Sequence[str]) -> tuple[str, ...]:
    """Return Verilator's arguments for a module ``top`` in a harness.

    ``sizes`` are what the harness finds defined, ``files`` Verilator's and compiler's.
    """
    defined = "".join(f" -D{name}={size}" for name, size in sizes.items())
    return (
        *("--cc", "--exe", "--top-module", top, "--prefix", "Vsummand", "-Mdir", "obj"),
        *_VERILATOR_FLAGS,
        *("-CFLAGS", f"{_SHARED}{defined}"),
        *("-LDFLAGS", "-shared"),
        *files,
    )


def compile_harness(tool: Verilator, folder: Path, arguments: Sequence[str], cache: Path) -> Path:
    """Run Verilator and compiler in ``folder``, which has the files; returns the library.

    Raises
    ------
    ToolError
        If one of them fails.
    """
    tool.run([tool.executable, *arguments], folder)
    compile_model(tool, folder, "Vsummand", _MAKE_FLAGS, cache=cache, options=[_SHARED])
    return folder / "obj" / "Vsummand"
