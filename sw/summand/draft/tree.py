"""Trees of tokens that may follow a text."""

from dataclasses import dataclass

__all__ = ["Draft"]


@dataclass(frozen=True)
class Draft:
    """A tree of tokens that may follow a text.

    Node ``i`` has the token ``tokens[i]`` and follows the node ``parents[i]``, or the text's last
    token where that is -1. Parents come before their children.

    Parameters
    ----------
    tokens : tuple of int
        A token for each node.
    parents : tuple of int
        The number of each node's parent, or -1.

    Raises
    ------
    ValueError
        If there are more of one than of the other, a parent does not come before its child, or two
        children of a node have the same token.
    """

    tokens: tuple[int, ...] = ()
    parents: tuple[int, ...] = ()

    def __post_init__(self):
        if len(self.tokens) != len(self.parents):
            raise ValueError(
                f"a draft must have a parent for each of {len(self.tokens)} tokens, not "
                f"{len(self.parents)}"
            )
        for node, parent in enumerate(self.parents):
            if not -1 <= parent < node:
                raise ValueError(f"node {node}'s parent must be -1 to {node - 1}, not {parent}")
        if len(set(zip(self.parents, self.tokens, strict=True))) < len(self.tokens):
            raise ValueError("children of a node must have different tokens")

    def __len__(self) -> int:
        return len(self.tokens)

    def depth(self, node: int) -> int:
        """Return how many tokens after the text a node is: 1 if it follows the text directly."""
        depth = 1
        while (node := self.parents[node]) >= 0:
            depth += 1
        return depth

    def child(self, node: int, token: int) -> int | None:
        """Return the child of ``node`` (-1: of the text's last token) with this token."""
        for other in range(node + 1, len(self.tokens)):
            if self.parents[other] == node and self.tokens[other] == token:
                return other
        return None

    def first(self, count: int) -> "Draft":
        """Return the tree of the first ``count`` nodes, or of all if there are fewer."""
        if count < 0:
            raise ValueError(f"the number of nodes must be 0 or more, not {count}")
        return Draft(self.tokens[:count], self.parents[:count])
