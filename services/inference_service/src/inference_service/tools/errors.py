"""The one error of the tools, beside those of the bundles themselves."""


class ToolError(Exception):
    """A command cannot do what it was asked; the message says what is wrong and where."""
