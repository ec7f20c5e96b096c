"""What the configuration of GPTQ's tools says of each layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from summand.compress.errors import CompressError
from summand.compress.importers.stated import Expression, Section

__all__ = ["GptqRules", "GptqScheme"]

_PATH = "quantization_config"
_BITS = (2, 3, 4, 8)
_FORMATS = ("checkpoint_format", "format")
_APPLIED = frozenset({
    "bits", "checkpoint_format", "data_type", "dynamic", "format", "group_size", "is_marlin_format",
    "method", "pack_dtype", "quant_method",
})  # fmt: skip

#: How the integers were found; they stand for the same numbers whatever these say. Whether groups
#: follow an activation order is in each layer's ``g_idx``.
_SEARCH = frozenset({
    "act_group_aware", "amp", "autoround_version", "block_name_to_quantize", "cache_block_outputs",
    "damp_auto_increment", "damp_percent", "dataset", "desc_act", "enable_minmax_tuning",
    "enable_quanted_input", "failsafe", "fallback", "foem", "gptaq", "gptaq_alpha", "hessian",
    "hessian_chunk_bytes", "hessian_chunk_size", "hyb_act", "iters", "low_gpu_mem_usage", "lr",
    "meta", "minmax_lr", "model_seqlen", "module_name_preceding_first_block", "mse", "nsamples",
    "provider", "quantizer", "scale_dtype", "seqlen", "static_groups", "sym", "true_sequential",
    "v2", "v2_alpha",
})  # fmt: skip

#: How other programs find and run the model. Which modules are quantised shows in their tensors.
_RUNNING = frozenset({
    "backend", "batch_size", "device", "disable_exllama", "exllama_config", "lm_head",
    "max_input_length", "model_file_base_name", "model_name_or_path",
    "modules_in_block_to_quantize", "offload_to_disk", "offload_to_disk_path", "pack_impl",
    "pad_token_id", "tokenizer", "use_cuda_fp16", "use_exllama", "version",
})  # fmt: skip

#: What a rule of ``dynamic`` may set.
_SEARCH_OF_RULES = _SEARCH - {"meta", "quantizer", "tokenizer"}


@dataclass(frozen=True, kw_only=True)
class GptqScheme:
    """How a layer is quantised: ``bits`` an integer, ``group`` features a scale, 0 for all."""

    bits: int
    group: int

    @classmethod
    def of(cls, section: Section, default: "GptqScheme | None" = None) -> "GptqScheme":
        """Read ``bits`` and ``group_size``; what is missing is as in ``default``."""
        bits, group = section.whole("bits", least=1), section.whole("group_size", least=-1)
        if default is not None:
            bits = default.bits if bits is None else bits
            group = default.group if group is None else group
        if bits is None or bits not in _BITS:
            section.refuse("bits", f"must be {', '.join(map(str, _BITS[:-1]))} or {_BITS[-1]}")
        return cls(bits=bits, group=max(group or 0, 0))


@dataclass(frozen=True)
class _Rule:
    """A rule of ``dynamic``: its layers, and their scheme; None leaves them as they are."""

    text: str
    pattern: Expression
    scheme: GptqScheme | None


class GptqRules:
    """The configuration of a folder that GPTQ's tools wrote.

    ``dynamic`` holds rules: a regular expression each, which is for the modules whose path it
    matches from the first letter on. The first rule that is for a module decides. One that begins
    with ``-:`` leaves its modules unquantised; others, ``+:`` before them or not, set ``bits`` and
    ``group_size``.

    Parameters
    ----------
    raw : mapping
        ``quantization_config`` of ``config.json``.

    Raises
    ------
    CompressError
        If something in it is not understood.
    """

    def __init__(self, raw: Mapping[str, Any]):
        top = Section(
            _PATH,
            raw,
            applied=_APPLIED,
            without_effect=_SEARCH | _RUNNING,
        )
        formats = {top.one_of(key, ("gptq", "gptq_v2", None)) for key in _FORMATS}
        if len(formats - {None}) > 1:
            top.refuse("checkpoint_format", "contradicts format")
        top.one_of("method", ("gptq", None))
        top.one_of("pack_dtype", ("int32", None))
        top.one_of("is_marlin_format", (False, None))
        top.one_of("data_type", ("int", None))
        #: Whether groups may follow an activation order, which each layer's ``g_idx`` tells.
        self.ordered = bool(top.get("desc_act", False))
        #: What was taken from each zero point before it was stored.
        self.first = 0 if "gptq_v2" in formats else 1
        self._scheme = GptqScheme.of(top)
        rules = top.get("dynamic", {})
        if rules is not False and not isinstance(rules, Mapping):
            top.refuse("dynamic", "must be an object")
        self._rules = [self._rule(text, found) for text, found in (rules or {}).items()]

    def _rule(self, text: str, found: object) -> _Rule:
        path = f"{_PATH}.dynamic[{text!r}]"
        leaves = text.startswith("-:")
        pattern = Expression(path, text[2:] if text.startswith(("-:", "+:")) else text)
        if leaves:
            return _Rule(text, pattern, None)
        section = Section(
            path, found, applied=("bits", "group_size"), without_effect=_SEARCH_OF_RULES
        )
        return _Rule(text, pattern, GptqScheme.of(section, self._scheme))

    def scheme(self, name: str) -> GptqScheme:
        """Return how the quantised module of this path is quantised.

        Raises
        ------
        CompressError
            If it should not be.
        """
        for rule in self._rules:
            if rule.pattern.matches(name):
                if rule.scheme is None:
                    raise CompressError(
                        f"config.json: {_PATH}.dynamic[{rule.text!r}] says that {name} is not "
                        f"quantised, but the checkpoint has its integers; one of both is of "
                        f"another model"
                    )
                return rule.scheme
        return self._scheme
