"""The model server over HTTP, and decoding in processes that may die."""
