"""The embedded reference endpoints. Throw-away keys only: never store anything real here."""
