//! The network: a convolutional regression from a sub-image to a polarization with its uncertainty; windows in px, shifts in pm.
