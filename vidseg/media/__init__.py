"""Below `vidseg.video` and `vidseg.render`: pictures and videos as files and streams, in and out."""
