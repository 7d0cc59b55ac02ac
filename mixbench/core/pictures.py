"""Names of settings of picture files, which configurations and data sets share. No torch."""

OF_PICTURES = ("folder", "csv")  # sources of picture files
FITS = CROP, SQUASH = "crop", "squash"  # ways to make a picture square
COLUMNS = ("path", "label", "split", "group")  # of a table
