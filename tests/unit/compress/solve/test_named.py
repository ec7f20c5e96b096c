from summand.compress.solve.named import DENSE_SOLVERS, LOW_RANK_SOLVERS
from summand.options.declaration import declared
from summand.recipe.options import Options


def test_every_name_that_an_option_allows_has_a_solver():
    names = {field.name: option.names for field, _, option in declared(Options)}
    assert names["solver"] == tuple(DENSE_SOLVERS)
    assert names["rank_solver"] == tuple(LOW_RANK_SOLVERS)
