import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest

from summand.model import LayerEntry, Manifest
from summand.report import (
    BaselineFigures,
    EmbeddingFigures,
    ModelFigures,
    Report,
    ReportError,
    TokenFigures,
)
from summand.report.page import page, write_page
from summand.report.plots import layers_plot
from summand.summands.dense import DenseEntry

TEXT = TokenFigures(
    text="a <text>",
    text_sha256="0",
    tokens=4088,
    perplexity=12.5,
    reference_perplexity=10.0,
    kl_divergence=0.0625,
    top1_agreement=0.875,
)


def entry(name: str, bits: int, error: float | None = 0.03) -> LayerEntry:
    return LayerEntry(
        name=name,
        in_features=128,
        out_features=64,
        act_bits=8,
        summands=(DenseEntry(bits=bits),),
        acc_bits=24,
        bias=False,
        balance=False,
        rotation=0,
        borders=(),
        centre=False,
        bits=128 * 64 * bits,
        error=error,
    )


SENTENCES = EmbeddingFigures(
    text="some <sentences>",
    text_sha256="0",
    sentences=1234,
    tokens=9999,
    mean_cosine=0.98765,
    least_cosine=0.91234,
    similarity_error=0.01357,
    same_nearest=0.625,
)


def report(options: dict[str, object] | None = None, **changes) -> Report:
    layers = tuple(entry(f"m.{i}.{kind}", 3 + i) for i in range(3) for kind in ("up", "down")) + (
        entry("head", 8, None),
    )
    manifest = Manifest(
        source={"kind": "folder", "path": "/some/<where>"},
        options={"bits": 4, **(options or {})},
        layers=layers,
        groups=tuple((e.name,) for e in layers),
        split=(),
        decompositions=(),
        host=(),
        aliases={},
        files={},
    )
    return Report(**{"name": "m & co", "model": ModelFigures.of(manifest), **changes})


class _Checker(HTMLParser):
    """Collects tags, and addresses that a browser would fetch."""

    void = ("meta", "br")

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in self.void:
            self.open.append(tag)
        outside = ("src", "href", "xlink:href", "data", "action")
        self.fetched += [v for k, v in attrs if k in outside and v and not v.startswith("#")]
        if tag in ("script", "link", "iframe"):
            self.fetched.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def checked(text: str) -> _Checker:
    checker = _Checker()
    checker.feed(text)
    assert checker.open == []
    return checker


def test_a_page_needs_nothing_else():
    whole = report(texts=(TEXT,), baselines=(baseline("RTN"),))
    checker = checked(page(whole))
    assert checker.fetched == []
    assert not re.search(r"url\((?!#)|@import", page(whole))
    assert checker.seen.count("svg") == 2


def baseline(name: str) -> BaselineFigures:
    return BaselineFigures(
        name=name,
        bits_per_weight=4.0,
        streamed_bits_per_weight=4.1,
        texts=(dataclasses.replace(TEXT, kl_divergence=0.25, perplexity=15.0),),
        seconds=1,
    )


def test_what_it_says():
    figures = report()
    text = page(report(texts=(TEXT,), baselines=(baseline("GPTQ & more"),)))
    for said in (
        "m &amp; co",
        "a &lt;text&gt;",
        "/some/&lt;where&gt;",
        "GPTQ &amp; more",
        "1.2500",
        "0.0625",
        "87.5%",
        "1.5000",
        "0.2500",
        f"{figures.model.streamed_bits_per_weight:.3f}",
        f"{figures.model.traffic.planes // 8:,}",
        f"{figures.model.traffic.weights / 8e6:.2f}",
        "dense 5 bits",
        "m.2.down",
        "3.00 %",
    ):
        assert said in text


def test_before_it_is_evaluated_there_are_bits_only():
    text = page(report())
    assert "perplexity" not in text
    assert checked(text).seen.count("svg") == 1


def test_without_the_source_there_is_perplexity_only():
    alone = TokenFigures(text="t", text_sha256="0", tokens=5, perplexity=9.0)
    text = page(report(texts=(alone,)))
    assert "9.000" in text
    assert "full precision</td>" not in text


def test_encoders_have_cosines_in_place_of_perplexity():
    other = dataclasses.replace(SENTENCES, mean_cosine=0.75, least_cosine=0.5)
    beside = dataclasses.replace(baseline("RTN"), texts=(other,))
    text = page(report(texts=(SENTENCES,), baselines=(beside,)))
    for said in (
        "some &lt;sentences&gt;, 1,234 sentences",
        "0.98765",
        "0.91234",
        "0.01357",
        "62.5%",
    ):
        assert said in text
    assert "0.75000" in text
    assert "1 - cosine to full precision" in text
    for other in ("perplexity", "KL", "likeliest"):
        assert other not in text
    assert checked(text).seen.count("svg") == 2
    assert checked(page(report(texts=(SENTENCES,)))).seen.count("svg") == 1


@pytest.mark.parametrize("text", [TEXT, SENTENCES])
def test_baselines_come_back_from_json_as_they_were(text):
    kept = dataclasses.replace(baseline("RTN"), texts=(text,))
    assert BaselineFigures.from_dict(json.loads(json.dumps(dataclasses.asdict(kept)))) == kept


def test_equal_reports_are_equal_bytes():
    make = lambda: page(report(texts=(TEXT,), baselines=(baseline("RTN"),)))  # noqa: E731
    assert make() == make()


def test_it_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "r.html"
    write_page(report(), path)
    assert path.read_text() == page(report())
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]
    monkeypatch.setattr(
        "pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full"))
    )
    with pytest.raises(ReportError, match=r"cannot write the report .*r\.html: full"):
        write_page(report(texts=(TEXT,)), path)
    assert path.read_text() == page(report())
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_a_place_that_is_not_there(tmp_path):
    with pytest.raises(ReportError, match="No such file"):
        write_page(report(), tmp_path / "no" / "r.html")


def test_the_figures_add_up():
    model = report().model
    raw = model.as_dict()
    assert raw["bits_per_weight"] == pytest.approx((2 * (3 + 4 + 5) + 8) / 7)
    assert raw["streamed_bits_per_weight"] * raw["weights"] == model.traffic.weights
    assert 8 * sum(raw["streamed_bytes"].values()) == model.traffic.total
    assert raw["streamed_bits_per_weight"] > raw["bits_per_weight"]


def test_distillation_is_named():
    done = {"steps": 60, "kept": 48, "tokens": 2048, "kl_before": 0.5, "kl_after": 0.25}
    text = page(report({"distillation": done}))
    assert "60 steps, scales of step 48 kept" in text
    assert "0.5000 before, 0.2500 after" in text
    assert "none better than before" in page(report({"distillation": {**done, "kept": 0}}))
    assert "distillation" not in page(report())


def test_parts_of_a_layer_are_plotted_as_one():
    manifest = report().model.manifest
    parts = tuple(entry(f"head.{i}", 2 + i) for i in range(4))
    layers = (*manifest.layers[:-1], *parts)
    groups = (*manifest.groups[:-1], tuple(e.name for e in parts))
    cut = dataclasses.replace(manifest, layers=layers, groups=groups, split=("head",))
    assert {cut.whole(e.name) for e in parts} == {"head"}
    assert cut.whole("m.0.up") == "m.0.up"
    whole, drawn = (re.findall(r"<text[^>]*>([^<]*)<", layers_plot(m)) for m in (manifest, cut))
    assert drawn.count("head") == whole.count("head") == 1
    assert not [text for text in drawn if text.startswith("head.")]
