"""The magics and the settings of IPython."""
