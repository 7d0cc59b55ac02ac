"""Charts of stored runs. Each is a function that returns a figure for a selection and its table."""
