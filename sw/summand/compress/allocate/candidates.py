"""What each layer could get, and what that would cost: the input of allocation."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch

from summand.compress.allocate.allocation import Candidate
from summand.compress.allocate.sensitivity import output_errors
from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.errors import CompressError
from summand.compress.solve.gptq import Gptq
from summand.compress.solve.lowrank import Weighting
from summand.compress.solve.rtn import RoundToNearest
from summand.compress.solve.solvers import DenseProblem, DenseSolver
from summand.isa import EngineConfig
from summand.recipe.choice import Choice
from summand.recipe.options import Options
from summand.schedule.traffic import layer_traffic

__all__ = ["Space", "choice_bits", "estimate"]

#: Outputs of a layer that are tried out: the most sensitive, and as many of the others.
_OUTPUTS = 128

#: Widths up to this are tried out; each further bit quarters the error.
_WIDEST_TRIED = 5

#: The solvers' quick variants, whose errors are in proportion.
_PROBES: Mapping[str, DenseSolver] = {
    "rtn": RoundToNearest(steps=8, refinements=1),
    "gptq": Gptq(rounds=0),
}

#: Mean square error of the best uniform rounding of normal numbers, relative, at 1 to 8 bits.
_ROUNDING = (0.3634, 0.1188, 0.03744, 0.01154, 0.003495, 0.001041, 0.0003035, 0.00008714)


@dataclass(frozen=True, kw_only=True)
class Space:
    """What layers may get.

    Parameters
    ----------
    options : Options
        Everything that does not vary.
    bits, head_bits : tuple of int
        Of the dense summand, of the output head's.
    groups : tuple of int
        Input features that share a scale.
    ranks, rank_bits : tuple of int
        Of the low-rank summand; the head gets none.
    """

    options: Options
    bits: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    head_bits: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    groups: tuple[int, ...] = (32, 64, 128)
    ranks: tuple[int, ...] = (0, 8, 16, 32, 64)
    rank_bits: tuple[int, ...] = (3, 4, 6, 8)

    def __post_init__(self):
        if 0 in self.bits:
            raise CompressError("allocation needs a dense summand: bits must be 1 to 8, not 0")

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
            Its widths are taken where they are not fixed. Groups that it cannot have are left out,
            and ranks that waste its slices.

        Raises
        ------
        CompressError
            If what is fixed leaves no dense summand, or is nothing that the engine can compute.
        """
        space = cls(options=options)
        groups, ranks = space.groups, space.ranks
        if engine is not None:
            groups = tuple(engine.depth * i for i in (1, 2, 4)) if engine.scale_bits else (0,)
            ranks = (0, *(engine.depth * i for i in (1, 2)))
            own = {
                "act_bits": engine.act_bits,
                "acc_bits": engine.acc_bits,
                "acc_shift": engine.shift,
                "scale_bits": engine.scale_bits or options.scale_bits,
            }
            free = {name: value for name, value in own.items() if name not in fixed}
            options = dataclasses.replace(options, **free)
            _check_engine(options, engine, grouped="group" in fixed)
        varied = {
            "bits": space.bits,
            "head_bits": space.head_bits,
            "group": groups,
            "rank": ranks,
            "rank_bits": space.rank_bits,
        }
        values = {
            name: (getattr(options, name),) if name in fixed else several
            for name, several in varied.items()
        }
        return cls(
            options=options,
            bits=values["bits"],
            head_bits=values["head_bits"],
            groups=values["group"],
            ranks=values["rank"],
            rank_bits=values["rank_bits"],
        )

    def choices(self, in_features: int, out_features: int, *, head: bool) -> list[Choice]:
        """Return what a layer of a size may get; ranks that save nothing are left out."""
        most = in_features * out_features // (in_features + out_features)
        out = []
        for bits in self.head_bits if head else self.bits:
            for group in self.groups:
                for rank in (0,) if head else self.ranks:
                    if rank > most and len(self.ranks) > 1:
                        continue
                    for rank_bits in self.rank_bits if rank else self.rank_bits[:1]:
                        options = dataclasses.replace(
                            self.options,
                            bits=bits,
                            head_bits=bits or self.options.head_bits,
                            group=group,
                            rank=rank,
                            rank_bits=rank_bits,
                        )
                        out.append(Choice.of(options, head=head))
        return out

    def smallest(
        self, in_features: int, out_features: int, *, head: bool, engine: EngineConfig | None
    ) -> Choice:
        """Return what streams fewest bits of :meth:`choices`."""
        return min(
            self.choices(in_features, out_features, head=head),
            key=lambda choice: choice_bits(choice, in_features, out_features, engine),
        )


def _check_engine(options: Options, engine: EngineConfig, *, grouped: bool) -> None:
    """Refuse options that an engine cannot compute; ``grouped`` if the group is one of them."""

    def refuse(name: str, wanted: str) -> None:
        raise CompressError(
            f"{name} must be {wanted}, not {getattr(options, name)}; leave {name} out, or give "
            f"another engine"
        )

    if options.act_bits != engine.act_bits:
        refuse("act_bits", f"the engine's, {engine.act_bits}")
    if options.acc_bits > engine.acc_bits:
        refuse("acc_bits", f"at most the engine's, {engine.acc_bits}")
    if options.acc_shift not in (0, engine.shift):
        refuse("acc_shift", f"0 or the engine's shift, {engine.shift}")
    if engine.scale_bits and options.scale_bits > engine.scale_bits:
        refuse("scale_bits", f"at most the engine's, {engine.scale_bits}")
    if grouped and options.group and not engine.scale_bits:
        refuse("group", "0 on an engine without scale_bits")
    if grouped and options.group % engine.depth:
        refuse("group", f"a multiple of the engine's depth, {engine.depth}")


def choice_bits(
    choice: Choice, in_features: int, out_features: int, engine: EngineConfig | None = None
) -> int:
    """Return what a choice streams, in bits, padded to an engine's slices and tiles if given."""
    return layer_traffic(choice.sizes(in_features, out_features), engine).total


def estimate(
    weight: torch.Tensor,
    seen: InputStatistics,
    sensitivity: torch.Tensor,
    choices: Sequence[Choice],
    engine: EngineConfig | None = None,
) -> list[Candidate[Choice]]:
    """Return choices of a layer with their streamed bits and estimated loss.

    The loss is half the sum of the outputs' mean square errors, each times its sensitivity: nats a
    token. What is tried out is a sample of outputs, at narrow widths and one size of groups;
    other sizes are taken to differ as rounding to nearest does, and wider widths to lose a quarter
    for each bit. Ranks take the leading part of the spectrum of what one width leaves, in
    whitened coordinates, less what rounding the factors leaves of that part.

    Parameters
    ----------
    weight : float32 tensor, shape ``[N, K]``
        As it is compressed: behind its input's transform.
    seen : InputStatistics
        Of the input behind that transform, with moments.
    sensitivity : float32 tensor, shape ``[N]``
        From :mod:`~summand.compress.allocate.sensitivity`.
    choices : sequence of Choice
        All with a dense summand.
    """
    probe = _Probe(weight, seen, sensitivity)
    n, k = weight.shape
    return [Candidate(c, choice_bits(c, k, n, engine), probe.loss(c)) for c in choices]


class _Probe:
    """Tries out what it is asked for once."""

    def __init__(self, weight: torch.Tensor, seen: InputStatistics, sensitivity: torch.Tensor):
        self._weight = weight
        self._seen = seen
        # Without the most sensitive ones a head, whose frequent words count most, looks harmless.
        order = sensitivity.argsort(descending=True, stable=True)
        rest = order[_OUTPUTS:]
        some = rest[:: max(1, -(-len(rest) // _OUTPUTS))]
        tried = torch.cat([order[:_OUTPUTS], some])
        self._rows = weight[tried]
        self._costs = sensitivity[tried] / 2
        self._costs[_OUTPUTS:] *= len(rest) / max(1, len(some))
        self._dense: dict[tuple[int, int, int, str], float] = {}
        self._tail: torch.Tensor | None = None
        self._base: int | None = None

    def loss(self, choice: Choice) -> float:
        """Return a choice's estimated loss."""
        narrow = min(choice.bits, _WIDEST_TRIED)
        if self._base is None:
            self._base = choice.group
        loss = self._tried(narrow, self._base, choice.scale_bits, choice.solver)
        loss *= 4.0 ** (narrow - choice.bits)
        if choice.group != self._base:
            loss *= self._tried(4, choice.group, choice.scale_bits, "rtn")
            loss /= max(self._tried(4, self._base, choice.scale_bits, "rtn"), 1e-300)
        if choice.rank:
            left = self._left(choice)
            loss *= left + (1 - left) * 2 * _ROUNDING[choice.rank_bits - 1]
        return loss

    def _tried(self, bits: int, group: int, scale_bits: int, solver: str) -> float:
        """Return the loss of a dense summand alone."""
        key = bits, group, scale_bits, solver
        if key not in self._dense:
            lost = self._lost(self._rows, bits, group, scale_bits, solver)
            errors = output_errors(lost, self._seen)
            self._dense[key] = float(errors @ self._costs)
        return self._dense[key]

    def _lost(
        self, weight: torch.Tensor, bits: int, group: int, scale_bits: int, solver: str
    ) -> torch.Tensor:
        problem = DenseProblem(
            weight=weight,
            bits=bits,
            energy=self._seen.energy,
            moments=self._seen.moments,
            limit=1 << 40,
            group=group,
            scale_bits=scale_bits if group else 0,
        )
        return weight - _PROBES[solver].solve(problem).matrix()

    def _left(self, choice: Choice) -> float:
        """Return the share of the error that the best factors of a rank leave."""
        if self._tail is None:
            lost = self._lost(self._weight, 4, choice.group, choice.scale_bits, choice.solver)
            self._tail = self._tail_of(lost)
        return float(self._tail[min(choice.rank, len(self._tail)) - 1])

    def _tail_of(self, lost: torch.Tensor) -> torch.Tensor:
        """Return what each rank leaves of the square error of lost weights, as a share."""
        assert self._seen.moments is not None
        white = Weighting.of_inputs(self._seen.moments, 0.01).white(lost.T.double())
        gram = white @ white.T if len(white) <= white.shape[1] else white.T @ white
        values = torch.linalg.eigvalsh(gram).flip(0).clamp_min(0)
        return 1 - values.cumsum(0) / values.sum().clamp_min(1e-300)
