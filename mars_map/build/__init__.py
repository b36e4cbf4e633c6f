"""Mosaics to windows to vectors to index; the basemaps and the gazetteer. Needs the input folder."""
