"""What is below the frames: decoding, live sources, images, encoding, files and threads."""
