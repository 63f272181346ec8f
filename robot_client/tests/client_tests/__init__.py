"""A package, so that pytest does not take the folder `robot_client` for the tests' parent."""
