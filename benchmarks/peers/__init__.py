"""Robot Brain and two other voice servers, one robot, the same engines: who answers how soon."""
