"""What a node's configuration may say: one schema for the node, the host tools and the documentation."""
