from summand.options.declaration import declared
from summand.summands.dense import DenseOptions
from summand.summands.dense.solve.named import DENSE_SOLVERS


def test_every_name_that_an_option_allows_has_a_solver():
    names = {field.name: option.names for field, _, option in declared(DenseOptions)}
    assert names["solver"] == tuple(DENSE_SOLVERS)
