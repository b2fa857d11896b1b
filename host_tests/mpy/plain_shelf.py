"""A shelf (firmware/shelf.py) that forgets nothing and never fails, on both Pythons; `files` by name."""


class Shelf:
    def __init__(self):
        self.files = {}

    def get(self, name):
        return self.files.get(name)

    def put(self, name, data):
        self.files[name] = bytes(data)
