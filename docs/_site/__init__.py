"""What the site needs beyond Sphinx's extensions."""
