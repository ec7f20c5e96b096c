from summand.options.declaration import declared
from summand.summands.lowrank import LowRankOptions
from summand.summands.lowrank.solve.named import LOW_RANK_SOLVERS


def test_every_name_that_an_option_allows_has_a_solver():
    names = {field.name: option.names for field, _, option in declared(LowRankOptions)}
    assert names["rank_solver"] == tuple(LOW_RANK_SOLVERS)
