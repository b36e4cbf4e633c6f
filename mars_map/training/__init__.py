"""The compact encoder's training: landforms and their words, the split by area, figures."""
