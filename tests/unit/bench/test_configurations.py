import dataclasses
from pathlib import Path

import pytest

from summand.bench import CONFIGURATIONS, DEFAULT_NAMES, choose
from summand.boards.board import BOARDS
from summand.isa import ConfigError, EngineConfig
from summand.runtime import DEFAULT_CONFIG

FOLDER = Path(__file__).resolve().parents[3] / "configs"


@pytest.mark.parametrize(
    ("file", "name"),
    [("smollm2", "rows-1"), ("rows-4", "rows-4"), ("rows-8", "rows-8")],
)
def test_files_are_the_named_ones(file, name):
    assert EngineConfig.load(FOLDER / f"{file}.json") == CONFIGURATIONS[name].config


def test_names():
    assert [n.name for n in choose(())] == list(DEFAULT_NAMES)
    assert choose(["rows-1"])[0].config == DEFAULT_CONFIG
    for board in BOARDS.values():
        assert choose([board.name])[0].config == board.engine


def test_files_and_names_keep_their_order(tmp_path):
    config = dataclasses.replace(DEFAULT_CONFIG, rows=3)
    path = tmp_path / "three.json"
    path.write_text(config.to_json())
    chosen = choose(["rows-8", str(path), "rows-1"])
    assert [n.config.rows for n in chosen] == [8, 3, 1]
    assert chosen[1].name == "three.json"


def test_files_of_one_name_are_told_apart(tmp_path):
    paths = []
    for rows in (2, 3):
        path = tmp_path / str(rows) / "engine.json"
        path.parent.mkdir()
        path.write_text(dataclasses.replace(DEFAULT_CONFIG, rows=rows).to_json())
        paths.append(str(path))
    assert [n.name for n in choose(paths)] == ["engine.json", paths[1]]


def test_unknown_name():
    with pytest.raises(ConfigError, match="'rows-2'; give a JSON file, or one of rows-1, rows-4"):
        choose(["rows-2"])


def test_missing_and_bad_files(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*none\.json"):
        choose([str(tmp_path / "none.json")])
    bad = tmp_path / "bad"
    bad.write_text('{"row": 1}')
    with pytest.raises(ConfigError, match="bad: an engine configuration has no row"):
        choose([str(bad)])


def test_twice_the_same():
    with pytest.raises(ConfigError, match="same configuration; give each once"):
        choose(["rows-1", str(FOLDER / "smollm2.json")])
