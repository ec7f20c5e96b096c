import pytest

from summand.isa.registers import IDENTITY, REGISTERS, Access, register


def test_registers_are_words_with_names_of_their_own():
    assert [r.offset for r in REGISTERS] == list(range(0, 4 * len(REGISTERS), 4))
    assert len({r.name for r in REGISTERS}) == len(REGISTERS)
    assert all(r.name.isidentifier() and r.doc.endswith(".") for r in REGISTERS)
    assert REGISTERS[-1].offset < 256  # the bus has 8 address bits


def test_only_reset_acts():
    assert [r.name for r in REGISTERS if r.access is Access.PULSE] == ["reset"]


def test_identity_reads_as_ascii():
    assert IDENTITY.to_bytes(4, "little") == b"SMND"


@pytest.mark.parametrize("name", [r.name for r in REGISTERS])
def test_registers_are_found_by_name(name):
    assert register(name).name == name
