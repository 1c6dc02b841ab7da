"""Where rows come from: what a recipe or a command line names, fetched and read."""
