"""Features of engines have one name each, and are told of those that have them."""

import dataclasses
import itertools

import pytest

from summand.explore.choices import featured
from summand.explore.engines import EngineClass, classes
from summand.explore.errors import ExploreError
from summand.explore.features import FEATURES, features_named, features_of, limited
from summand.isa import EngineConfig


def test_letters_and_titles_tell_them_apart():
    for name in ("letter", "title", "field"):
        assert len({getattr(feature, name) for feature in FEATURES}) == len(FEATURES)


def test_an_engine_has_what_its_fields_say():
    engine = EngineConfig()
    assert features_of(engine) == ()
    for feature in FEATURES:
        most = dataclasses.replace(engine, **{feature.field: 4 if feature.letter != "h" else True})
        assert features_of(most) == (feature,)


def sets_of(features):
    """Return all sets of features."""
    counts = range(len(features) + 1)
    return [tuple(each) for n in counts for each in itertools.combinations(features, n)]


#: Of weights, and of results on their way back.
ALLOWED = sets_of([feature for feature in FEATURES if not feature.results])
ANSWERS = sets_of([feature for feature in FEATURES if feature.results])


def test_features_are_named_by_letters():
    assert features_named("hg") == features_named("ggh") == (FEATURES[0], FEATURES[1])
    assert features_named("") == ()
    for allowed in ALLOWED:
        assert features_named("".join(f.letter for f in allowed)) == allowed


@pytest.mark.parametrize("letters", ["x", "g,h", "G", "group scales"])
def test_letters_of_no_feature_are_refused(letters):
    said = f"g \\(group scales\\), h \\(half-steps\\), .* not '{letters}'"
    with pytest.raises(ExploreError, match=said):
        features_named(letters)


@pytest.mark.parametrize("allowed", ALLOWED)
def test_engines_have_what_is_allowed_and_nothing_else(allowed):
    most = EngineConfig(scale_bits=4, half_steps=True, shift=4, digit_bits=2)
    assert set(features_of(limited(most, allowed))) == set(features_of(most)) & set(allowed)
    layers = {feature for engine in featured(allowed) for feature in features_of(engine)}
    assert layers == {feature for feature in allowed if feature.letter != "d"}
    searched = {f for each in classes(64, 8.0, allowed) for f in features_of(each.base)}
    assert searched == set(allowed)


@pytest.mark.parametrize("allowed", ANSWERS)
def test_results_come_back_as_is_allowed(allowed):
    ways = [way.base for way in EngineClass(EngineConfig()).answering(allowed, head=True)]
    assert len(ways) == len(set(ways))
    assert EngineConfig() in ways
    assert {feature for base in ways for feature in features_of(base)} == set(allowed)


@pytest.mark.parametrize(
    ("letters", "left"),
    [
        ("", [""]),
        ("g", ["g", ""]),
        ("h", ["h"]),
        ("gh", ["gh", "h"]),
        ("hn", ["h", "n"]),
        ("gnd", ["g", "gn", ""]),
        ("gr", ["gr", ""]),
        ("ghn", ["gh", "gn", "h"]),
        ("ghnrd", ["ghr", "gn", "h"]),
    ],
)
def test_layers_are_not_tried_with_less_than_they_may_have(letters, left):
    engines = featured(features_named(letters))
    assert ["".join(f.letter for f in features_of(e)) for e in engines] == left
