"""Pictures for people: curves, profiles, attention, costs."""
