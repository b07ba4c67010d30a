"""One image: embedded once, prompted as often as somebody asks."""
