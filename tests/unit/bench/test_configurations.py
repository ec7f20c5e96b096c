import dataclasses

import pytest

from summand.bench import DEFAULT_NAMES, choose
from summand.isa import ConfigError
from summand.schedule.fit import DEFAULT_CONFIG


def test_without_a_choice_engines_of_more_and_more_rows_are_compared():
    chosen = choose(())
    assert [n.name for n in chosen] == list(DEFAULT_NAMES)
    assert [n.config.rows for n in chosen] == [1, 4, 8]


def test_files_and_names_keep_their_order(tmp_path):
    config = dataclasses.replace(DEFAULT_CONFIG, rows=3)
    path = tmp_path / "three.json"
    path.write_text(config.to_json())
    chosen = choose(["rows-8", str(path), "smollm2"])
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


def test_twice_the_same(tmp_path):
    path = tmp_path / "engine.json"
    path.write_text(DEFAULT_CONFIG.to_json())
    with pytest.raises(ConfigError, match="same configuration; give each once"):
        choose(["smollm2", str(path)])
