"""The made-up world of emoji sprites, its clips and the samples."""
