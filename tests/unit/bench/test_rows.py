from summand.bench import Law
from summand.bench.rows import pass_cost, row_costs
from summand.boards.library import find_board
from summand.runtime import compile_layers


def programs(model, engine):
    layers = {layer.name: layer for layer in model.layers()}
    return [compile_layers([layers[name] for name in group], engine) for group in model.groups]


def test_cycles_are_those_of_the_law(model, engine):
    made = programs(model, engine)
    law = Law(engine)
    wanted = [
        sum(law.usage(program, tokens).counters.cycles for program in made) for tokens in (1, 2)
    ]
    assert row_costs(engine, made) == tuple(wanted)
    assert wanted[0] < wanted[1] < 2 * wanted[0]
    assert pass_cost(law, made, 2).tokens == 2 * len(made)


def test_over_a_line_the_slowest_counts(model, engine):
    made = programs(model, engine)
    board = find_board("ulx3s-85f")
    assert board.link.baud
    costs = row_costs(engine, made, board)
    beats = [pass_cost(Law(engine), made, tokens).beats for tokens in (1, 2)]
    # The line's 10 bits a byte at 3 Mbaud take longer than 25 million cycles a second.
    for cost, sent in zip(costs, beats, strict=True):
        assert sent * engine.beat_bytes * 10 / board.link.baud < cost
        assert cost < 1.2 * sent * engine.beat_bytes * 10 / board.link.baud
