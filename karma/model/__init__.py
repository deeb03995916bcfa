"""What is served: item tower and interest encoder; and, in ``decoders``, what only training has."""
