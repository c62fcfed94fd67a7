"""Switches that other servers of these calls have in the query and this one does not."""

from fastapi import Request
from fastapi.params import Depends

from app.errors import InvalidError

OFF = frozenset({"", "0", "false", "no", "off"})


def refused(*names: str) -> Depends:
    """A dependency of a route: 422 naming the switch for a request that turns one of them on.

    Without it such a request would succeed and not do what it asks for.
    """

    def refuse(request: Request) -> None:
        for name in names:
            if request.query_params.get(name, "").lower() not in OFF:
                message = f"{name}: this is not done here: leave it out"
                raise InvalidError.at("query", name, message=message)

    return Depends(refuse)
