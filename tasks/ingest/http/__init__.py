"""HTTP: bounded fetching from hosts nobody vouches for."""
