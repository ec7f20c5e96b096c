"""From a LoRA adapter in PEFT's format to summands beside a model's own."""

from summand.compress.adapt.job import AdaptJob
from summand.compress.adapt.module import add_in_float
from summand.compress.adapt.peft_folder import LoraFactors, PeftFolder

__all__ = ["AdaptJob", "LoraFactors", "PeftFolder", "add_in_float"]
