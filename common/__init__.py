"""The ground floor: what every folder may use. Standard library only."""
