"""Core layers: Dense, Embedding, Masking, Identity and the input of a model."""
