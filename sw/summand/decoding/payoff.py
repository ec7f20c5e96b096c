"""How many proposed tokens pay, by what a row costs and how often proposals are accepted."""

from collections.abc import Collection, Sequence

__all__ = ["Payoff"]

#: How far a pass moves the estimates of what it tried.
_RATE = 1 / 8

#: Passes after which all rows are tried again where fewer seem to pay.
_PATIENCE = 16

#: What is expected of the first proposal to begin with; of the second half of that, and so on.
_HOPE = 0.5


class Payoff:
    """Chooses how many tokens to propose: as many as make a token cheapest.

    The places of a draft are in the order of the drafter's confidence. For each place this keeps
    the share of passes, recent ones weighing more, in which its token was accepted. ``n``
    proposals write 1 token and the sum of the first ``n`` shares, for the cost of ``n + 1`` rows.
    Where fewer than all rows seem to pay, all are tried again now and then.

    Parameters
    ----------
    costs : sequence of float
        Of a pass with 1, 2, ... rows, in any unit; positive.
    """

    def __init__(self, costs: Sequence[float]):
        if not costs or min(costs) <= 0:
            raise ValueError(f"costs must be positive, one for each number of rows, not {costs}")
        self._costs = tuple(costs)
        self._shares = [_HOPE / place for place in range(1, len(costs))]
        self._waited = 0

    def choose(self) -> int:
        """Return how many tokens to propose in the next pass."""
        most = len(self._shares)
        if self._waited < _PATIENCE:
            most = self._best()
        self._waited = 0 if most == len(self._shares) else self._waited + 1
        return most

    def _best(self) -> int:
        best, pace, tokens = 0, 1 / self._costs[0], 1.0
        for n, share in enumerate(self._shares, 1):
            tokens += share
            if tokens / self._costs[n] > pace:
                best, pace = n, tokens / self._costs[n]
        return best

    def learn(self, proposed: int, accepted: Collection[int]) -> None:
        """Take in a pass: how many tokens were proposed, and the places of those accepted."""
        for place in range(min(proposed, len(self._shares))):
            self._shares[place] += _RATE * ((place in accepted) - self._shares[place])
