"""Time: how good a node's clock is, in the words of the frames."""
