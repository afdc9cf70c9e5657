"""Lists and dicts in a user's layer: no new layers in them once it is built."""

from __future__ import annotations

from typing import Any


class OwnedList(list):
    """A list that asks its owner before it takes something in."""

    def __init__(self, items: Any = (), owner: Any = None):
        super().__init__(items)
        self._owner = owner

    def _ask(self, items: Any) -> Any:
        if self._owner is not None:
            self._owner._take_in(items)
        return items

    def append(self, item: Any) -> None:
        """As of a list."""
        super().append(self._ask(item))

    def insert(self, index: Any, item: Any) -> None:
        """As of a list."""
        super().insert(index, self._ask(item))

    def extend(self, items: Any) -> None:
        """As of a list."""
        super().extend(self._ask(list(items)))

    def __iadd__(self, items: Any) -> OwnedList:
        self.extend(items)
        return self

    def __setitem__(self, index: Any, item: Any) -> None:
        super().__setitem__(index, self._ask(item))

    def __reduce__(self) -> Any:
        return (list, (list(self),))


class OwnedDict(dict):
    """A dict that asks its owner before it takes something in."""

    def __init__(self, items: Any = (), owner: Any = None):
        super().__init__(items)
        self._owner = owner

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._owner is not None:
            self._owner._take_in(value)
        super().__setitem__(key, value)

    def update(self, *items: Any, **named: Any) -> None:
        """As of a dict."""
        for key, value in dict(*items, **named).items():
            self[key] = value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """As of a dict."""
        if key not in self:
            self[key] = default
        return self[key]

    def __reduce__(self) -> Any:
        return (dict, (dict(self),))
