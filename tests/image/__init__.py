"""`make image-test`: the images, built without a Docker engine and run as a cluster would run them."""
