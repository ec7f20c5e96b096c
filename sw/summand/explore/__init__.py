"""The co-design: which engine and which compression a board should get for a model."""
