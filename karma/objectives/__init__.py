"""The losses, each a function of tensors: what an interest vector is trained for, and what it must keep."""
