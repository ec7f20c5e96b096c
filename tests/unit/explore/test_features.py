"""Features of engines have one name each, and are told of those that have them."""

import dataclasses

from summand.explore.features import FEATURES, features_of
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
