from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_no_init_in_the_namespace():
    """`summand` is a PEP 420 namespace; one __init__.py in it would hide the other folders."""
    folders = ("hw", "sw", "sim", "boards")
    assert [d for d in folders if (ROOT / d / "summand/__init__.py").exists()] == []
