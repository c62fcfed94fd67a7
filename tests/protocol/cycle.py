"""Strongly connected components: the parts of a graph in which one can go round."""

from collections.abc import Iterator, Mapping, Sequence


def components(graph: Mapping[int, Sequence[int]]) -> Iterator[set[int]]:
    """Each component of the graph, by Tarjan's algorithm (SIAM J. Comput. 1, 1972), without
    recursion.
    """
    number: dict[int, int] = {}
    low: dict[int, int] = {}
    open_: list[int] = []
    is_open: set[int] = set()
    for root in graph:
        if root in number:
            continue
        number[root] = low[root] = len(number)
        open_.append(root)
        is_open.add(root)
        path = [(root, iter(graph[root]))]
        while path:
            node, targets = path[-1]
            for target in targets:
                if target not in number:
                    number[target] = low[target] = len(number)
                    open_.append(target)
                    is_open.add(target)
                    path.append((target, iter(graph[target])))
                    break
                if target in is_open:
                    low[node] = min(low[node], number[target])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == number[node]:
                    yield _closed(node, open_, is_open)


def _closed(node: int, open_: list[int], is_open: set[int]) -> set[int]:
    group: set[int] = set()
    while node not in group:
        group.add(open_.pop())
    is_open -= group
    return group
