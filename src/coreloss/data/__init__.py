"""Tables, recipes and model bundles that ship with the package."""
