"""What benchmarks of decoding write from, and how they tell texts that loop."""

from summand.bench.prompts.looping import loops
from summand.bench.prompts.packaged import KINDS, Prompt, packaged_prompts

__all__ = ["KINDS", "Prompt", "loops", "packaged_prompts"]
