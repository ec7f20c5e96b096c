"""The contract of the player: items that an engine's stream is made of, and its registers."""

from summand.isa.player.items import Item, ItemOp
from summand.isa.player.refusals import ItemError, PlayerError, Refusal

__all__ = ["Item", "ItemError", "ItemOp", "PlayerError", "Refusal"]
