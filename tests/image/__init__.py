"""`make image-test`: the images, built without a Docker engine and rehearsed as a cluster would run them."""
