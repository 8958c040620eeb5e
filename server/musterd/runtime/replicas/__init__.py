"""Several processes on one store: who lives, and what they tell each other."""
