import pytest
import torch

from summand.compress import (
    CompressError,
    calibration_text,
    evaluation_text,
    mixed_text,
    other_text,
    read_text,
    windows,
)
from summand.compress.calibrate.text import topics_text


def paragraphs(text):
    return {" ".join(p.split()) for p in text.body.split("\n\n") if p.strip()}


def test_calibration_and_evaluation_share_no_paragraph():
    assert paragraphs(calibration_text()).isdisjoint(paragraphs(evaluation_text()))


def test_the_topics_for_training_share_no_paragraph_with_evaluation():
    seen = paragraphs(topics_text())
    assert len(topics_text().body) > 100_000
    assert seen.isdisjoint(paragraphs(evaluation_text()))
    assert seen & paragraphs(calibration_text())


def test_the_other_text_is_of_another_kind():
    body = other_text().body
    assert body.startswith("GNU GENERAL PUBLIC LICENSE Version 3")
    assert len(body) > 30_000
    assert "free software" in body
    assert not {"python", "module"} & set(body.lower().split())
    assert paragraphs(calibration_text()).isdisjoint(paragraphs(other_text()))


def test_the_mixed_text_is_short_sentences_that_no_other_text_has():
    sentences = paragraphs(mixed_text())
    assert len(sentences) > 250
    assert max(map(len, sentences)) < 160
    for text in (calibration_text(), evaluation_text(), other_text()):
        assert not any(sentence in text.body for sentence in sentences if len(sentence) > 40)


def test_an_other_text_that_is_not_installed(monkeypatch):
    monkeypatch.setattr("importlib.metadata.files", lambda _: [])
    with pytest.raises(CompressError, match="carries the GNU General Public License"):
        other_text()


def test_both_are_long_enough_and_the_same_every_time():
    for text in (calibration_text, evaluation_text):
        assert len(text().body) > 100_000
        assert text().sha256 == text().sha256


def test_calibration_mixes_four_kinds_of_text():
    body = calibration_text().body
    assert "statement" in body[:3000]
    assert "ArgumentParser" in body[:30000]
    assert "Lisbon" in body[:30000]
    assert "104 NFL games" in body[:30000]


def test_reading_a_file(tmp_path):
    (tmp_path / "a.txt").write_text("Grüße", encoding="utf-8")
    text = read_text(tmp_path / "a.txt")
    assert (text.origin, text.body) == ("a.txt", "Grüße")


def test_files_that_are_no_text(tmp_path):
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, match in (
        ("none", "cannot read .*none: No such file"),
        ("empty", "holds no text"),
        ("binary", "is not UTF-8 text"),
    ):
        with pytest.raises(CompressError, match=match):
            read_text(tmp_path / name)


def test_windows_follow_each_other(llama, tmp_path):
    (tmp_path / "a").write_text("abcdefghijk")
    text = read_text(tmp_path / "a")
    rows = windows(llama.tokenizer, text, tokens=100, window=4)
    assert [r.shape for r in rows] == [(1, 4), (1, 4), (1, 3)]
    ids = llama.tokenizer("abcdefghijk")["input_ids"]
    assert torch.cat(rows, dim=1)[0].tolist() == ids
    assert [len(r[0]) for r in windows(llama.tokenizer, text, tokens=9, window=4)] == [4, 4]


def test_too_little_text(llama, tmp_path):
    (tmp_path / "a").write_text("a")
    with pytest.raises(CompressError, match="a is too short: 1 tokens"):
        windows(llama.tokenizer, read_text(tmp_path / "a"), tokens=100, window=4)
    with pytest.raises(CompressError, match="at least 2, not 1"):
        windows(llama.tokenizer, evaluation_text(), tokens=1, window=4)
