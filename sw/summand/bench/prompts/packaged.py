"""The prompts that come with Summand."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files

__all__ = ["KINDS", "Prompt", "packaged_prompts"]

#: What a prompt may ask for; those of summaries and passages bring the text that they are about.
KINDS = ("chat", "translation", "summary", "question", "reasoning", "passage", "code")


@dataclass(frozen=True)
class Prompt:
    """What a user types into a chat.

    Parameters
    ----------
    name : str
        Its kind, a hyphen, and its topic.
    kind : str
        One of :data:`KINDS`.
    text : str
        Of the user's turn; a model's chat template is not applied yet.

    Raises
    ------
    ValueError
        If the kind is unknown, the name does not begin with it, or the text is blank.
    """

    name: str
    kind: str
    text: str

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(
                f"prompt {self.name!r}: kind must be one of {', '.join(KINDS)}, not {self.kind!r}"
            )
        if not self.name.startswith(f"{self.kind}-"):
            raise ValueError(f"prompt {self.name!r}: name must begin with '{self.kind}-'")
        if not self.text.strip():
            raise ValueError(f"prompt {self.name!r}: text must not be blank")


def packaged_prompts() -> tuple[Prompt, ...]:
    """Return Summand's own prompts, those of a kind together, in the order of :data:`KINDS`."""
    text = (files("summand.bench.prompts") / "prompts.toml").read_text(encoding="utf-8")
    return tuple(Prompt(**raw) for raw in tomllib.loads(text)["prompts"])
