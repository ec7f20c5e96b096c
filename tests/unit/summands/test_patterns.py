"""N:M patterns as options and fields."""

import pytest

from summand.isa import EngineConfig
from summand.isa.patterns import SparsePattern
from summand.recipe.options import Options
from summand.summands.errors import LayerError, SolveError
from summand.summands.patterns import check_engine, fits, kept_and_block, parse_pattern, pattern_of


@pytest.mark.parametrize(("kept", "block"), [(1, 4), (7, 8), (15, 16)])
def test_a_pattern_is_its_text_and_its_fields(kept, block):
    pattern = parse_pattern(f"{kept}:{block}")
    assert pattern == SparsePattern(kept=kept, block=block) == pattern_of(kept, block)
    assert str(pattern) == f"{kept}:{block}"
    assert kept_and_block(pattern) == (kept, block)


def test_none_is_no_pattern():
    assert parse_pattern("none") is None
    assert pattern_of(0, 0) is None
    assert kept_and_block(None) == (0, 0)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("4:4", "kept must be 1 to 3 for blocks of 4, not 4"),
        ("0:8", "kept must be 1 to 7 for blocks of 8, not 0"),
        ("2:6", "block must be 4, 8 or 16, not 6"),
        ("2:0", "block must be 4, 8 or 16, not 0"),
        ("2", "two whole numbers as in 2:4"),
        ("-1:4", "two whole numbers as in 2:4"),
        ("2:4:8", "two whole numbers as in 2:4"),
        ("", "two whole numbers as in 2:4"),
    ],
)
def test_texts_that_are_no_patterns_are_refused(text, match):
    with pytest.raises(LayerError, match=match):
        parse_pattern(text)


def test_fields_that_are_no_pattern_are_refused():
    with pytest.raises(LayerError, match="block must be 4, 8 or 16, not 0"):
        pattern_of(2, 0)
    with pytest.raises(LayerError, match="kept must be 1 to 3"):
        pattern_of(0, 4)


def test_inputs_are_whole_blocks_or_not():
    assert fits("2:8", 24)
    assert not fits("2:16", 24)
    assert fits("none", 7)


def test_an_engine_reads_patterns_of_its_blocks_and_of_parts_of_them():
    plain, engine = EngineConfig(), EngineConfig(sparse_block=8)
    check_engine(Options(), "sparsity", plain)
    for text in ("1:4", "3:8"):
        check_engine(Options(sparsity=text), "sparsity", engine)
        with pytest.raises(SolveError, match="none on an engine without sparse_block"):
            check_engine(Options(sparsity=text), "sparsity", plain)
    with pytest.raises(SolveError, match="outliers must be .* sparse_block, 8, not 1:16"):
        check_engine(Options(outliers="1:16"), "outliers", engine)
