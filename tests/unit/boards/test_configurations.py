import dataclasses
from importlib.resources import files
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from summand.boards.configurations import configuration_names, find_configuration
from summand.boards.library import packaged_boards
from summand.isa import ConfigError, EngineConfig
from summand.schedule.fit import DEFAULT_CONFIG

ROOT = Path(__file__).resolve().parents[3]


def test_every_name_is_an_engine():
    names = configuration_names()
    assert names == (
        "dense-4",
        "dsp-4",
        "grouped",
        "operand-4",
        "rows-4",
        "rows-8",
        "smollm2",
        *packaged_boards(),
    )
    for name, board in packaged_boards().items():
        assert find_configuration(name).config == board.engine


def test_smollm2_is_what_is_taken_where_nothing_is_named():
    assert find_configuration("smollm2").config == DEFAULT_CONFIG


@pytest.mark.parametrize("text", ["smollm2", "smollm2.json", "./smollm2"])
def test_a_name_is_no_file_and_a_file_no_name(text, tmp_path, monkeypatch):
    mine = dataclasses.replace(DEFAULT_CONFIG, rows=3)
    for name in ("smollm2", "smollm2.json"):
        (tmp_path / name).write_text(mine.to_json())
    monkeypatch.chdir(tmp_path)
    found = find_configuration(text)
    assert found.config == (DEFAULT_CONFIG if text == "smollm2" else mine)
    assert found.name == Path(text).name


def test_an_unknown_name_is_told_the_known_ones():
    known = ", ".join(configuration_names())
    with pytest.raises(ConfigError, match=f"'rows-2'; give a JSON file, or one of {known}$"):
        find_configuration("rows-2")


def test_missing_and_bad_files(tmp_path):
    for missing in (tmp_path / "none.json", tmp_path / "none"):
        with pytest.raises(ConfigError, match=f"cannot read {missing}"):
            find_configuration(str(missing))
    bad = tmp_path / "bad"
    bad.write_text('{"row": 1}')
    with pytest.raises(ConfigError, match="bad: an engine configuration has no row"):
        find_configuration(str(bad))


def test_a_boards_file_is_its_engine(tmp_path):
    file = files("summand.boards") / "library" / "kv260.toml"
    (tmp_path / "mine.toml").write_text(file.read_text())
    found = find_configuration(str(tmp_path / "mine.toml"))
    assert (found.name, found.config) == ("mine", find_configuration("kv260").config)


def test_a_wheel_holds_every_configuration():
    builder = WheelBuilder(str(ROOT))
    held = {file.distribution_path: Path(file.path) for file in builder.recurse_included_files()}
    for name in set(configuration_names()) - packaged_boards().keys():
        packed = held[f"summand/boards/configs/{name}.json"]
        assert EngineConfig.load(packed) == find_configuration(name).config
