"""The register map of an IP block, in Markdown and in C."""

from summand.rtl.feeds.block import AxiBlock

__all__ = ["c_header", "markdown"]


def markdown(block: AxiBlock) -> str:
    """Return the register map of a block as Markdown."""
    constants = {name: f"`{value:#010x}`" for name, value in block.constants.items()}
    rows = "\n".join(
        f"| `{r.offset:#04x}` | `{r.name}` | {r.access.value} | {constants.get(r.name, '')} "
        f"| {r.doc} |"
        for r in block.registers
    )
    return (
        f"# Registers of the engine `{block.config.digest}`\n\n"
        "AXI4-Lite, 32 bits each, at byte offsets. Other offsets, and writes to what is read only, "
        "are answered with SLVERR.\n\n"
        "| offset | name | access | value | meaning |\n"
        "| --- | --- | --- | --- | --- |\n"
        f"{rows}\n"
    )


def c_header(block: AxiBlock) -> str:
    """Return a C header with a block's registers: offsets, and values that never change."""
    lines = [
        f"/* Registers of the Summand engine {block.config.digest}; generated, do not edit. */",
        "#ifndef SUMMAND_REGISTERS_H",
        "#define SUMMAND_REGISTERS_H",
        "",
    ]
    for register in block.registers:
        lines += [
            f"/* {register.access.value}: {register.doc} */",
            f"#define SUMMAND_{register.name.upper()}_OFFSET {register.offset:#04x}u",
        ]
    lines += ["", "/* What this engine's registers read. */"]
    for name, value in block.constants.items():
        lines.append(f"#define SUMMAND_{name.upper()} {value:#010x}u")
    lines += ["", "#endif", ""]
    return "\n".join(lines)
