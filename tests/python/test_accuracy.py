"""A small network with every kind of convolution holds the bounds of accuracy_table.py.

    test_accuracy.py SGDIST
"""
import sys

import accuracy_table

if __name__ == "__main__":
    accuracy_table.main([sys.argv[1], "--only", "small", "--images", "16", "--draws", "32", "--print"])
