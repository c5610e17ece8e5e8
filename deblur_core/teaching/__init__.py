"""What notebooks need beside the science: pictures, a slider, checkers of exercises, student versions."""
