"""Charts of stored runs, each a function from a selection and its table to a figure."""
