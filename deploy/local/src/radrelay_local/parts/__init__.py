"""What the stack is made of, one module a program."""
