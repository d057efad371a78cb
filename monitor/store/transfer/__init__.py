"""A store as one file, and back: the same for every engine, readable without this program.

``layout`` says what a file holds, ``lines`` and ``records`` turn runs into rows of text and back,
``archive`` packs and checks the file, ``exporting`` and ``importing`` move a store through it.
"""
