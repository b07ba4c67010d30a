"""Below `vidseg.render`: from tracked frames to pictures of them."""
