from collections.abc import Callable
from pathlib import Path

import pytest

from summand.compress import ModelSource, open_source


@pytest.fixture(scope="session")
def llama_folder(save_llama: Callable[..., Path]) -> Path:
    """A Hugging Face folder with a random Llama of two blocks and a tied head."""
    return save_llama(blocks=2, hidden=48, inner=80)


@pytest.fixture(scope="session")
def llama(llama_folder: Path) -> ModelSource:
    """The same, opened; not to be changed."""
    return open_source(str(llama_folder))
