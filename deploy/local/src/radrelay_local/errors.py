"""What can go wrong with the embedded stack, in words for whoever typed the command."""


class StackError(Exception):
    """The stack cannot do what was asked; the message says why and what to do."""
