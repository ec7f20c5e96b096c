"""Drafters: which tokens may follow a text, learned from the text and from the model's own rows."""

from summand.draft.default import DefaultDrafter, make_drafter
from summand.draft.drafter import Drafter, Seen
from summand.draft.likeliest import LikeliestFirst
from summand.draft.lookup import PromptLookup
from summand.draft.recycled import Recycled
from summand.draft.recycling import TokenRecycling
from summand.draft.siblings import Siblings
from summand.draft.table import DraftTableError, load_table, save_table
from summand.draft.tree import Draft

__all__ = [
    "DefaultDrafter",
    "Draft",
    "DraftTableError",
    "Drafter",
    "LikeliestFirst",
    "PromptLookup",
    "Recycled",
    "Seen",
    "Siblings",
    "TokenRecycling",
    "load_table",
    "make_drafter",
    "save_table",
]
