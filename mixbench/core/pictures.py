"""Names of settings of picture files and of MedMNIST, which configurations and data sets share. No torch."""

OF_PICTURES = ("folder", "csv")  # sources of picture files
FITS = CROP, SQUASH = "crop", "squash"  # ways to make a picture square
COLUMNS = ("path", "label", "split", "group")  # of a table
MEDMNIST_SIZES = (28, 64, 128, 224)  # pixels of a side
MEDMNIST_PLAIN_SIZE = 28  # the size whose archives have the name of the set alone
