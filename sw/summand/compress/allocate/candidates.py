"""What each layer could get, and what that would cost: the input of allocation."""

import dataclasses
import itertools
from collections import ChainMap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch

from summand.compress.allocate.allocation import Candidate
from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.errors import CompressError
from summand.isa import EngineConfig
from summand.recipe.choice import Choice
from summand.recipe.options import Options
from summand.schedule.traffic import layer_traffic
from summand.summands.choosing import SummandSpace, refuse
from summand.summands.errors import SolveError
from summand.summands.estimating import Estimate, Trial
from summand.summands.registry import kind_of, kinds

__all__ = ["Space", "choice_bits", "estimate"]

#: Outputs of a layer that are tried out, at least and at most: an eighth of all, of the most
#: sensitive ones, and as many of the others.
_LEAST, _MOST = 16, 128


@dataclass(frozen=True, kw_only=True)
class Space:
    """What layers may get.

    Parameters
    ----------
    options : Options
        Everything that does not vary.
    summands : tuple of SummandSpace
        Of each kind, in the order in which summands are added.
    """

    options: Options
    summands: tuple[SummandSpace, ...]

    @classmethod
    def of(
        cls, options: Options, fixed: Collection[str], engine: EngineConfig | None = None
    ) -> "Space":
        """Return everything but what is fixed, which is as in ``options``.

        Parameters
        ----------
        fixed : collection of str
            Names of options.
        engine : EngineConfig, optional
            Its widths are taken where they are not fixed. What it cannot have, or wastes, is left
            out.

        Raises
        ------
        CompressError
            If what is fixed leaves no dense summand, or is nothing that the engine can compute.
        """
        spaces = [kind.space for kind in kinds()]
        try:
            if engine is not None:
                own = {"act_bits": engine.act_bits, "acc_bits": engine.acc_bits}
                own |= _borders(options, engine)
                for space in spaces:
                    own |= space.adopted(options, engine)
                free = {name: value for name, value in own.items() if name not in fixed}
                options = dataclasses.replace(options, **free)
                _check_engine(options, engine)
                for space in spaces:
                    space.check(options, fixed, engine)
            found = tuple(space.of(options, fixed, engine) for space in spaces)
        except SolveError as e:
            raise CompressError(str(e)) from None
        return cls(options=options, summands=found)

    def choices(self, in_features: int, out_features: int, *, head: bool) -> list[Choice]:
        """Return what a layer of a size may get."""
        variants = (s.variants(in_features, out_features, head=head) for s in self.summands)
        values = (ChainMap(*map(dict, parts)) for parts in itertools.product(*variants))
        return [Choice.of(dataclasses.replace(self.options, **each), head=head) for each in values]

    def admits(self, in_features: int, out_features: int, *, head: bool) -> bool:
        """Return whether a layer of a size can have any of :meth:`choices`."""
        return any(
            choice.fits(in_features, out_features)
            for choice in self.choices(in_features, out_features, head=head)
        )

    def smallest(
        self, in_features: int, out_features: int, *, head: bool, engine: EngineConfig | None
    ) -> Choice:
        """Return what streams fewest bits of :meth:`choices`."""
        return min(
            self.choices(in_features, out_features, head=head),
            key=lambda choice: choice_bits(choice, in_features, out_features, engine),
        )


def _borders(options: Options, engine: EngineConfig) -> dict[str, int]:
    """Return where an engine lets groups of channels begin, and by how much scales may differ."""
    if not options.act_groups:
        return {}
    return {"act_block": engine.depth, "border_shift": engine.border_shift or options.border_shift}


def _check_engine(options: Options, engine: EngineConfig) -> None:
    """Refuse widths that an engine does not have."""
    if options.act_bits != engine.act_bits:
        refuse(options, "act_bits", f"the engine's, {engine.act_bits}")
    if options.acc_bits > engine.acc_bits:
        refuse(options, "acc_bits", f"at most the engine's, {engine.acc_bits}")
    if not options.act_groups:
        return
    if not engine.border_shift:
        refuse(options, "act_groups", "0 on an engine without border_shift")
    if options.border_shift > engine.border_shift:
        refuse(options, "border_shift", f"at most the engine's, {engine.border_shift}")
    if options.act_block % engine.depth:
        refuse(options, "act_block", f"a multiple of the engine's depth, {engine.depth}")


def choice_bits(
    choice: Choice, in_features: int, out_features: int, engine: EngineConfig | None = None
) -> int:
    """Return what a choice streams, in bits, padded to an engine's slices and tiles if given."""
    return layer_traffic(choice.sizes(in_features, out_features), engine).total


def estimate(
    weights: Mapping[str, torch.Tensor],
    seen: InputStatistics,
    sensitivity: Mapping[str, torch.Tensor],
    choices: Mapping[str, Sequence[Choice]],
    engine: EngineConfig | None = None,
) -> dict[str, list[Candidate[Choice]]]:
    """Return choices of layers of one input with their streamed bits and estimated loss.

    The loss is half the sum of the outputs' mean square errors, each times its sensitivity: nats a
    token. Kinds of summands estimate it, one behind the other, on a sample of outputs.

    Parameters
    ----------
    weights : mapping of str to float32 tensor, shape ``[N, K]``
        Each layer's as it is compressed: behind the input's transform.
    seen : InputStatistics
        Of the input behind that transform, with moments.
    sensitivity : mapping of str to float32 tensor, shape ``[N]``
        From :mod:`~summand.compress.allocate.sensitivity`.
    choices : mapping of str to sequence of Choice
        Of each layer, all with a dense summand.

    Raises
    ------
    CompressError
        If summands cannot be tried out on these inputs.
    """
    trial = _trial(weights, seen, sensitivity)
    estimators = {kind.name: kind.estimator(trial) for kind in kinds()}
    known: dict[Choice, torch.Tensor] = {}

    def losses(choice: Choice) -> torch.Tensor:
        found: Estimate | None = None
        for summand in choice.summands:
            found = estimators[kind_of(summand).name].add(summand, found)
        assert found is not None
        return found.loss

    candidates: dict[str, list[Candidate[Choice]]] = {}
    for i, (name, weight) in enumerate(weights.items()):
        n, k = weight.shape
        candidates[name] = []
        for choice in choices[name]:
            try:
                if choice not in known:
                    known[choice] = losses(choice)
                bits = choice_bits(choice, k, n, engine)
            except SolveError as e:
                raise CompressError(str(e)) from None
            candidates[name].append(Candidate(choice, bits, float(known[choice][i])))
    return candidates


def _trial(
    weights: Mapping[str, torch.Tensor],
    seen: InputStatistics,
    sensitivity: Mapping[str, torch.Tensor],
) -> Trial:
    """Return layers with a sample of their outputs."""
    assert seen.moments is not None
    rows, costs = [], []
    for name, weight in weights.items():
        # Without the most sensitive ones a head, whose frequent words count most, looks harmless.
        order = sensitivity[name].argsort(descending=True, stable=True)
        count = min(_MOST, max(_LEAST, len(order) // 8))
        rest = order[count:]
        some = rest[:: max(1, -(-len(rest) // count))]
        tried = torch.cat([order[:count], some])
        cost = sensitivity[name][tried] / 2
        cost[count:] *= len(rest) / max(1, len(some))
        rows.append(weight[tried])
        costs.append(cost[:, None])
    return Trial(
        weights=tuple(weights.values()),
        rows=torch.cat(rows),
        costs=torch.block_diag(*costs),
        energy=seen.energy,
        moments=seen.moments,
    )
