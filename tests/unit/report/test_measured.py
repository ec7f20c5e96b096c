"""Tables of points that were made."""

from summand.report.measured import (
    compared_rows,
    measured_heads,
    measured_points,
    measured_rows,
)
from summand.report.texts import EmbeddingFigures, TextFigures, TokenFigures

TOKENS = TokenFigures(
    text="a text",
    text_sha256="0",
    tokens=8,
    perplexity=12.0,
    reference_perplexity=10.0,
    kl_divergence=0.125,
)
SENTENCES = EmbeddingFigures(
    text="a text",
    text_sha256="0",
    sentences=3,
    tokens=9,
    mean_cosine=0.75,
    least_cosine=0.5,
    similarity_error=0.1,
    same_nearest=1.0,
)


def point(digest: str, seconds: float, figures: TextFigures | None) -> dict:
    return {
        "digest": digest,
        "loss": seconds / 100,
        "bits_per_weight": 3.0,
        "perplexity_ratio": 1.5,
        "cycles": {"decode": 1000},
        "projected": {"total_s": seconds},
        "measured": figures and {"figures": vars(figures)},
    }


def test_points_are_in_order_and_a_chosen_one_of_the_front_counts_once():
    front = [point("a", 1.0, TOKENS), point("b", 2.0, None), point("c", 3.0, TOKENS)]
    found = measured_points({"front": front, "chosen": point("c", 3.0, TOKENS)})
    assert [each["digest"] for each in found] == ["a", "c"]
    beside = measured_points({"front": front, "chosen": point("d", 2.5, TOKENS)})
    assert [each["digest"] for each in beside] == ["a", "d", "c"]


def test_prediction_stands_beside_measurement():
    points = [point("a", 1.0, TOKENS)]
    row = dict(zip(measured_heads(points), measured_rows(points)[0], strict=True))
    assert row["KL divergence, nats a token, measured"] == "0.1250"
    assert row["perplexity, predicted"] == "1.500"
    assert row["perplexity, measured"] == "1.200"
    assert row["prediction off by"] == "+25.0%"


def test_embeddings_have_no_perplexity():
    points = [point("a", 1.0, SENTENCES)]
    row = dict(zip(measured_heads(points), measured_rows(points)[0], strict=True))
    assert row["1 - cosine to full precision, mean, measured"] == "0.2500"
    assert row["perplexity, measured"] == row["prediction off by"] == ""


def test_counts_are_told_whole_and_so_is_a_small_difference():
    figures = [
        ("perplexity", 1.131834, 1.162169),
        ("cycles", 3_686_092, 3_686_181),
        ("the same", 3_686_181, 3_686_181),
        ("look-up tables", 29_813, 29_926),
        ("block RAMs", 26.5, 26.5),
    ]
    table = [
        {"what": what, "predicted": p, "measured": m, "off": p / m - 1} for what, p, m in figures
    ]
    table.append({"what": "clock", "predicted": None, "measured": 98.25, "off": None})
    assert compared_rows(table) == [
        ("perplexity", "1.132", "1.162", "-2.6%"),
        ("cycles", "3,686,092", "3,686,181", "-89"),
        ("the same", "3,686,181", "3,686,181", "equal"),
        ("look-up tables", "29,813", "29,926", "-0.4%"),
        ("block RAMs", "26.5", "26.5", "equal"),
        ("clock", "none", "98.25", "no model"),
    ]
