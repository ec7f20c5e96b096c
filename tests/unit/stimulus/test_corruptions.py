from collections import defaultdict

import numpy as np
import pytest

from summand.golden import GoldenEngine
from summand.isa import ErrorCode
from summand.isa.header import HEADER_BYTES, Header
from summand.isa.packets import status_packet_bytes
from summand.stimulus.corruptions import corruptions
from summand.stimulus.engines import random_config

from .wire import CONFIG, ENDS, WIDEST, fields


def test_every_field_is_refused_below_and_above_its_ends():
    refused = defaultdict(set)
    for bad in corruptions(CONFIG):
        raw = bad.data[:HEADER_BYTES]
        if bad.code not in (ErrorCode.CHECK, ErrorCode.OP):
            payload = bad.data[CONFIG.header_beats * CONFIG.beat_bytes :]
            for name, value in fields(Header.decode(raw), payload):
                refused[name].add(value)
    for name, (least, most) in ENDS.items():
        if least > 0:
            assert least - 1 in refused[name], name
        if most < WIDEST.get(name.split()[1], 0xFFFF):
            assert max(refused[name]) > most, name


@pytest.mark.parametrize("seed", range(8))
def test_every_error_code_has_bad_commands(seed):
    config = random_config(np.random.default_rng(seed))
    bad = corruptions(config)
    assert len({c.name for c in bad}) == len(bad)
    assert all(len(c.data) % config.beat_bytes == 0 for c in bad)
    unused = {ErrorCode.OK} | ({ErrorCode.OPERAND} if not config.operand_depth else set())
    assert {c.code for c in bad} == set(ErrorCode) - unused


@pytest.mark.parametrize("seed", range(8))
def test_bad_commands_are_no_longer_than_they_must_be(seed):
    config = random_config(np.random.default_rng(seed))
    for bad in corruptions(config):
        engine = GoldenEngine(config)
        engine.write([bad.data[: -config.beat_bytes]])
        assert engine.available == 0, bad.name
        engine.write([bad.data[-config.beat_bytes :]])
        assert engine.available == status_packet_bytes(config), bad.name
