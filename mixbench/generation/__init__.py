"""Make banks of generated images: variants of training images and fractals (`mixbench generate`)."""
