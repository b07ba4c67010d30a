"""What a user points at: boxes, points and masks, by object and by frame."""
