"""What tests/bench/run is made of. Python 3 without third-party modules."""
