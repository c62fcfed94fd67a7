"""One instance for each service and processor in this process."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
Names = tuple[str, str]  # service, which is '' while nothing names it, and processor


class Registry(Generic[T]):
    """Instances by their names. `lock` is held while one is made, never during SQL."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._instances: dict[Names, T] = {}

    def get_or_make(self, names: Names, make: Callable[[], T]) -> T:
        """The instance of these names."""
        with self.lock:
            found = self._instances.get(names)
            if found is None:
                found = self._instances[names] = make()
            return found

    def rename(self, old: Names, new: Names, instance: T) -> None:
        """Gives an instance its names. `ValueError` where another one has them."""
        with self.lock:
            if self._instances.setdefault(new, instance) is not instance:
                raise ValueError(
                    f"service_name={new[0]!r} is not valid here: another tracker of processor "
                    f"{new[1]!r} has that name; construct it again to have that one"
                )
            if self._instances.get(old) is instance:
                del self._instances[old]

    def remove(self, instance: T) -> None:
        """Forgets an instance; nothing happens where it is not there."""
        with self.lock:
            kept = {names: each for names, each in self._instances.items() if each is not instance}
            self._instances = kept

    def all(self) -> list[T]:
        """Every instance."""
        with self.lock:
            return list(self._instances.values())
