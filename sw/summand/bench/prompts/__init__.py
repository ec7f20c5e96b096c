"""What benchmarks of decoding write from."""

from summand.bench.prompts.packaged import KINDS, Prompt, packaged_prompts

__all__ = ["KINDS", "Prompt", "packaged_prompts"]
