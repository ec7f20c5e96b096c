import pytest
import torch
from safetensors import safe_open
from torch import nn

from summand.compress import CompressError, open_source, survey
from summand.compress.calibrate.calibration import InputStatistics, collect
from summand.compress.calibrate.statistics import StatisticsFolder
from summand.compress.calibrate.walk import ModelWalk
from summand.compress.network.blocks import find_blocks

KEY = {"model": "m", "text": "t", "tokens": 8, "window": 4}


def rows(count=3):
    g = torch.Generator().manual_seed(0)
    return [{"input_ids": torch.randint(0, 256, (1, 20 + i), generator=g)} for i in range(count)]


class Block(nn.Module):
    def __init__(self, *, packed=False, by_name=False, skips=False):
        super().__init__()
        self.up, self.down = nn.Linear(6, 9), nn.Linear(9, 6)
        self.packed, self.by_name, self.skips = packed, by_name, skips

    def forward(self, hidden_states, first=None, scale=1.0):
        y = hidden_states + self.down(self.up(hidden_states).relu()) * scale
        if self.skips:
            y = y + first
        return (y, None) if self.packed else y


class Row(nn.Module):
    """Blocks that are each called differently, with a layer before and one after."""

    def __init__(self, *, twice=False, shared=False, **kind):
        super().__init__()
        torch.manual_seed(0)
        self.enter, self.leave = nn.Linear(4, 6), nn.Linear(6, 3)
        self.blocks = nn.ModuleList(Block(**kind) for _ in range(3))
        self.gain = nn.Parameter(torch.tensor(1.5))
        self.twice, self.shared = twice, shared

    def forward(self, x):
        y = first = self.enter(x)
        for i, block in enumerate(self.blocks):
            assert isinstance(block.up, nn.Linear)  # a stand-in for the block has it too
            scale = self.gain * i
            extra = first if block.skips else None
            y = (
                block(hidden_states=y, first=extra, scale=scale)
                if block.by_name
                else block(y, extra, scale)
            )
            y = y[0] if block.packed else y
            if self.shared:
                y = y * 1
            if self.twice:
                y = block(y)
        return self.leave(y)


def same(a: InputStatistics, b: InputStatistics) -> bool:
    def equal(x, y):
        return (x is None) == (y is None) and (x is None or torch.equal(x, y))

    names = ("energy", "moments", "sample", "low", "high")
    return a.tokens == b.tokens and all(equal(getattr(a, n), getattr(b, n)) for n in names)


@pytest.mark.parametrize(
    "kind", [{}, {"packed": True}, {"by_name": True}, {"packed": True, "by_name": True}]
)
def test_stages_see_what_the_whole_module_does(kind):
    module = Row(**kind)
    xs = [torch.randn(1, 5, 4), torch.randn(1, 7, 4)]
    found = survey(module, xs[0])
    blocks = find_blocks(module, found, xs[0])
    assert blocks is not None
    assert (blocks.count, blocks.stages) == (3, 5)
    whole = collect(module, xs, found.groups, moments=True)
    names = [name for name, _ in module.named_modules()]
    parts = list(ModelWalk(blocks=blocks).parts(module, xs, found.groups, moments=found.layers))
    seen = {name: s for part in parts for name, s in part.statistics.items()}
    assert [len(part.groups) for part in parts] == [1, 2, 2, 2, 1]
    assert seen.keys() == whole.keys()
    assert all(same(seen[name], whole[name]) for name in whole)
    assert [name for name, _ in module.named_modules()] == names


@pytest.mark.parametrize("kind", [{"twice": True}, {"shared": True}, {"skips": True}])
def test_what_is_no_row_of_blocks_is_run_as_a_whole(kind):
    module, x = Row(**kind), torch.randn(1, 5, 4)
    assert find_blocks(module, survey(module, x), x) is None


def test_without_blocks_there_are_none():
    module, x = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), torch.randn(1, 4)
    assert find_blocks(module, survey(module, x), x) is None


def test_a_llama_is_a_row_of_blocks(llama):
    found = survey(llama.module, rows()[0])
    blocks = find_blocks(llama.module, found, rows()[0])
    assert blocks is not None
    assert blocks.before == ("model.embed_tokens",)
    assert blocks.after == ("model.norm", "lm_head")
    whole = collect(llama.module, rows(), found.groups, moments=True)
    walk = ModelWalk(blocks=blocks)
    for part in walk.parts(llama.module, rows(), found.groups, moments=found.layers):
        for name, statistics in part.statistics.items():
            assert same(statistics, whole[name])


def test_weights_are_there_only_for_their_stage(llama, llama_folder):
    lazy = open_source(str(llama_folder), lazy=True)
    assert lazy.weights is not None
    found = survey(lazy.module, rows()[0])
    assert found == survey(llama.module, rows()[0])
    blocks = find_blocks(lazy.module, found, rows()[0])
    walk = ModelWalk(blocks=blocks, weights=lazy.weights)
    whole = collect(llama.module, rows(), found.groups, moments=True)

    def loaded():
        return {n for n, p in lazy.module.named_parameters() if torch.isfinite(p).all()}

    assert loaded() == set()
    held = []
    for part in walk.parts(lazy.module, rows(), found.groups, moments=found.layers):
        held.append(loaded())
        for name, statistics in part.statistics.items():
            assert same(statistics, whole[name])
    assert loaded() == set()
    assert all(name.startswith("model.layers.0.") for name in held[0])
    assert held[2] == {"model.norm.weight", "lm_head.weight"}


def test_a_lazy_parameter_is_the_one_of_the_file(llama, llama_folder):
    lazy = open_source(str(llama_folder), lazy=True)
    assert lazy.weights is not None
    for name, value in llama.module.state_dict().items():
        assert torch.equal(lazy.weights.tensor(name), value)


def test_an_incomplete_folder_is_not_opened_lazily(llama_folder, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(llama_folder, tmp_path / "m")
    tensors = load_file(tmp_path / "m" / "model.safetensors")
    tensors.pop("model.norm.weight")
    save_file(tensors, tmp_path / "m" / "model.safetensors")
    with pytest.raises(CompressError, match=r"lacks 1 tensors .* model\.norm\.weight"):
        open_source(str(tmp_path / "m"), lazy=True)


def interrupt(walk, module, found, after):
    """Ask for some parts only; returns how many calls of the module there were."""
    calls = []
    handle = module.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        for i, _ in enumerate(walk.parts(module, rows(), found.groups, moments=found.layers)):
            if i == after:
                break
    finally:
        handle.remove()
    return len(calls)


def test_a_walk_goes_on_where_it_was(llama, tmp_path):
    found = survey(llama.module, rows()[0])
    blocks = find_blocks(llama.module, found, rows()[0])
    walk = ModelWalk(blocks=blocks, scratch=tmp_path / "scratch")
    interrupt(walk, llama.module, found, after=1)
    rest = [group for group in found.groups if not group[0].startswith("model.layers.0.")]
    whole = collect(llama.module, rows(), found.groups, moments=True)
    told = []
    parts = walk.parts(
        llama.module, rows(), rest, moments=found.layers, progress=lambda *n: told.append(n)
    )
    for part in parts:
        assert all(same(part.statistics[name], whole[name]) for name in part.statistics)
    assert told[-1] == (6, 6)  # the second block and the head, not the embedding nor the first
    assert not list((tmp_path / "scratch").iterdir())


def test_kept_statistics_need_no_model(llama, tmp_path):
    found = survey(llama.module, rows()[0])
    blocks = find_blocks(llama.module, found, rows()[0])

    def walk():
        return ModelWalk(blocks=blocks, store=StatisticsFolder(tmp_path / "s", KEY))

    assert interrupt(walk(), llama.module, found, after=99) == 4 * 3
    assert interrupt(walk(), llama.module, found, after=99) == 0
    whole = collect(llama.module, rows(), found.groups, moments=True)
    for part in walk().parts(llama.module, rows(), found.groups, moments=found.layers):
        assert all(same(part.statistics[name], whole[name]) for name in part.statistics)


@pytest.fixture
def statistics():
    x = torch.randn(10, 4)
    return InputStatistics(10, x.square().mean(0), x.T @ x, x[::3], x.amin(0), x.amax(0))


def test_statistics_survive(tmp_path, statistics):
    StatisticsFolder(tmp_path / "s", KEY).put("a/b.c", statistics)
    again = StatisticsFolder(tmp_path / "s", KEY)
    assert again.note == ""
    assert again.has("a/b.c", moments=True)
    assert not again.has("a/b", moments=False)
    assert same(again.get("a/b.c"), statistics)


def test_statistics_without_moments_do_where_none_are_needed(tmp_path, statistics):
    object.__setattr__(statistics, "moments", None)
    folder = StatisticsFolder(tmp_path / "s", KEY)
    folder.put("x", statistics)
    assert folder.has("x", moments=False)
    assert not folder.has("x", moments=True)


@pytest.mark.parametrize("field", ["model", "text", "tokens", "window"])
def test_statistics_of_something_else_are_dropped_and_it_is_said(tmp_path, statistics, field):
    StatisticsFolder(tmp_path / "s", KEY).put("x", statistics)
    other = StatisticsFolder(tmp_path / "s", {**KEY, field: "other"})
    assert f"is of another {field}: calibrating again" in other.note
    assert not other.has("x", moments=False)


def test_a_file_of_another_folder_does_not_count(tmp_path, statistics):
    StatisticsFolder(tmp_path / "s", {**KEY, "text": "u"}).put("x", statistics)
    mine = StatisticsFolder(tmp_path / "t", KEY)
    (tmp_path / "s" / "x.safetensors").rename(tmp_path / "t" / "x.safetensors")
    assert not mine.has("x", moments=False)


def test_damaged_statistics_are_told(tmp_path, statistics):
    folder = StatisticsFolder(tmp_path / "s", KEY)
    folder.put("x", statistics)
    file = tmp_path / "s" / "x.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    with pytest.raises(CompressError, match=r"x\.safetensors is damaged; delete it"):
        folder.get("x")
    file.write_bytes(raw[:-8])
    assert not folder.has("x", moments=False)


@pytest.mark.parametrize("there", ["precious.txt", "calibration.json"])
def test_another_folder_is_left_alone(tmp_path, there):
    (tmp_path / there).write_text("work of years")
    with pytest.raises(CompressError, match="no calibration, and is left as it is"):
        StatisticsFolder(tmp_path, KEY)
    with pytest.raises(CompressError, match="--statistics names a folder"):
        StatisticsFolder(tmp_path / there, KEY)
    assert (tmp_path / there).read_text() == "work of years"


def test_hidden_states_of_a_later_stage_are_no_use(llama, tmp_path):
    found = survey(llama.module, rows()[0])
    blocks = find_blocks(llama.module, found, rows()[0])
    walk = ModelWalk(blocks=blocks, scratch=tmp_path / "scratch")
    interrupt(walk, llama.module, found, after=2)
    with safe_open(tmp_path / "scratch" / "hidden-states.safetensors", framework="pt") as file:
        assert file.metadata() == {"stage": "3"}
    assert interrupt(walk, llama.module, found, after=99) == 4 * 3
