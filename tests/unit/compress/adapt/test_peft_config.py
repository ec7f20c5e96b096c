import json
import math
import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from summand.compress import CompressError
from summand.compress.adapt.peft_config import LoraConfig
from summand.isa import SummandError

QUERY = "model.layers.0.self_attn.q_proj"
LATER = "model.layers.10.self_attn.q_proj"

#: As PEFT writes it, but for what it leaves at its defaults.
WRITTEN = {
    "alpha_pattern": {},
    "auto_mapping": None,
    "base_model_name_or_path": "someone/model",
    "bias": "none",
    "corda_config": None,
    "eva_config": None,
    "exclude_modules": None,
    "fan_in_fan_out": False,
    "inference_mode": True,
    "init_lora_weights": True,
    "layer_replication": None,
    "layers_pattern": None,
    "layers_to_transform": None,
    "loftq_config": {},
    "lora_alpha": 16,
    "lora_bias": False,
    "lora_dropout": 0.05,
    "megatron_config": None,
    "megatron_core": "megatron.core",
    "modules_to_save": None,
    "peft_type": "LORA",
    "qalora_group_size": 16,
    "r": 8,
    "rank_pattern": {},
    "revision": None,
    "target_modules": ["q_proj", "v_proj"],
    "target_parameters": None,
    "task_type": "CAUSAL_LM",
    "trainable_token_indices": None,
    "use_dora": False,
    "use_qalora": False,
    "use_rslora": False,
}


@pytest.fixture
def read(tmp_path):
    """Return a function that reads the configuration with some fields changed."""

    def call(**fields: object) -> LoraConfig:
        (tmp_path / "adapter_config.json").write_text(json.dumps({**WRITTEN, **fields}))
        return LoraConfig.read(tmp_path)

    return call


def test_what_peft_writes_is_read(read):
    config = read()
    assert (config.rank_of(QUERY), config.scale_of(QUERY)) == (8, 2.0)
    assert config.is_target(QUERY)
    assert not config.is_target("model.layers.0.self_attn.qq_proj")
    assert config.everywhere


def test_the_scale_of_rank_stabilised_adapters(read):
    assert read(use_rslora=True).scale_of(QUERY) == 16 / math.sqrt(8)


def test_patterns_are_those_of_peft(read):
    config = read(
        rank_pattern={"layers.0.self_attn.q_proj": 4, "^model.layers.1": 3, "q_proj": 2},
        alpha_pattern={r"0\.self_attn\.q_proj": 12},
    )
    assert (config.rank_of(QUERY), config.scale_of(QUERY)) == (4, 3.0)
    # An end begins behind a dot: layer 10 is not layer 0.
    assert (config.rank_of(LATER), config.scale_of(LATER)) == (2, 8.0)
    assert config.rank_of("model.layers.1") == 3
    assert config.rank_of("other.model.layers.1") == 8


@pytest.mark.parametrize("targets", ["all-linear", r".*\.(q|v)_proj", None])
def test_targets_that_are_not_listed_are_what_the_tensors_say(read, targets):
    config = read(target_modules=targets)
    assert config.is_target("anything")
    assert not config.everywhere


@pytest.mark.parametrize("field", ["exclude_modules", "layers_to_transform"])
def test_some_layers_of_the_names_may_be_left_out(read, field):
    assert not read(**{field: [1]}).everywhere


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"peft_type": "LOHA"}, "peft_type must be 'LORA', not 'LOHA'"),
        ({"peft_type": None}, "peft_type must be 'LORA', not None"),
        ({"use_dora": True}, "use_dora scales the columns"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save replaces modules"),
        ({"bias": "all"}, "bias must be 'none', not 'all'"),
        ({"lora_bias": True}, "lora_bias gives the factors biases"),
        ({"layer_replication": [[0, 2], [1, 3]]}, "layer_replication repeats layers"),
        ({"target_parameters": ["experts.w"]}, "target_parameters adapts parameters"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices changes embeddings"),
        ({"use_qalora": True}, "use_qalora averages inputs"),
        ({"alora_invocation_tokens": [3]}, "alora_invocation_tokens acts on a part"),
        (
            {"init_lora_weights": "pissa_niter_4"},
            "init_lora_weights must be .* not 'pissa_niter",
        ),
        ({"megatron_config": {"a": 1}}, "'megatron_config' is a field that this Summand does not"),
        ({"use_sparse": True}, "'use_sparse' is a field that this Summand does not know"),
        ({"r": 0}, "r must be 1 to 4096, not 0"),
        ({"r": True}, "r must be 1 to 4096, not True"),
        ({"r": 8.0}, r"r must be 1 to 4096, not 8\.0"),
        ({"lora_alpha": "16"}, "lora_alpha must be a number below 1e30, not '16'"),
        ({"lora_alpha": math.inf}, "lora_alpha must be a number below 1e30, not inf"),
        ({"use_rslora": "yes"}, "use_rslora must be true or false, not 'yes'"),
        ({"rank_pattern": {"q": "4"}}, "rank_pattern.q must be 1 to 4096, not '4'"),
        ({"alpha_pattern": [1]}, r"alpha_pattern must be an object, not \[1\]"),
        ({"rank_pattern": {r".*q\d+": 4}}, "rank_pattern has the regular expression"),
        ({"target_modules": [1]}, r"target_modules must be names, not \[1\]"),
    ],
)
def test_refusals(read, fields, why):
    with pytest.raises(CompressError, match=rf"adapter_config\.json: {why}"):
        read(**fields)


def test_fields_that_ask_for_nothing_may_have_any_name(read):
    assert read(use_next=False, next_config=None, next_list=[]).rank == 8


@pytest.mark.parametrize("initial", [True, False, None, "gaussian", "eva", "orthogonal"])
def test_initialisations_that_leave_the_model(read, initial):
    assert read(init_lora_weights=initial).rank == 8


@pytest.mark.parametrize(
    ("text", "why"),
    [("[]", "must hold an object, not list"), ("{", "not JSON"), ("[" * 200, "not JSON")],
)
def test_files_that_are_no_configuration(tmp_path, text, why):
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(SummandError, match=f"adapter_config.json.* {why}"):
        LoraConfig.read(tmp_path)


def test_there_is_no_file_or_it_has_no_end(tmp_path):
    with pytest.raises(CompressError, match="give the folder that PEFT's save_pretrained wrote"):
        LoraConfig.read(tmp_path)
    os.mkfifo(tmp_path / "adapter_config.json")
    with pytest.raises(SummandError, match="is not a regular file"):
        LoraConfig.read(tmp_path)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.just("(a+)+"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(name=st.sampled_from(sorted(WRITTEN)), value=_JSON)
def test_any_value_is_read_or_refused(read, name, value):
    start = time.perf_counter()
    try:
        config = read(**{name: value})
    except CompressError:
        return
    assert config.rank_of(QUERY) >= 1
    assert math.isfinite(config.scale_of(QUERY))
    assert time.perf_counter() - start < 1
