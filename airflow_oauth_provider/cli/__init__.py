"""What platform engineers do with tokens, at a terminal."""
