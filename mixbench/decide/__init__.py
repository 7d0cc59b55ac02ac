"""Train methods in rounds until it is known which one to use. No torch until something trains."""
