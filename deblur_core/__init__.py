"""An executable companion to four image-deblurring papers. ARCHITECTURE.md shows the house."""

__version__ = "0.1.0"
