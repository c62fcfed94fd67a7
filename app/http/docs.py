"""The interactive documentation: every script and style comes from this server."""

from typing import Final

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

DOCS: Final = "/docs"
REDOC: Final = "/redoc"
ASSETS: Final = "/docs/assets"

# What the pages' scripts would fetch from elsewhere, such as a vendor's logo, the browser refuses.
POLICY: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'"
    )
}
SWAGGER: Final = {
    "validatorUrl": None,  # it would send the document to a server of the vendor
    "persistAuthorization": True,
    "displayRequestDuration": True,
    "docExpansion": "none",
    "filter": True,
}


def install(app: FastAPI) -> None:
    """Serves both pages and what they load."""
    app.mount(ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]), name="docs")

    @app.get(DOCS, include_in_schema=False)
    async def swagger(request: Request) -> HTMLResponse:
        root = _root(request)
        page = get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=app.title,
            swagger_js_url=f"{root}{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{root}{ASSETS}/favicon.png",
            swagger_ui_parameters=dict(SWAGGER),
        )
        page.headers.update(POLICY)
        return page

    @app.get(REDOC, include_in_schema=False)
    async def redoc(request: Request) -> HTMLResponse:
        root = _root(request)
        page = get_redoc_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=app.title,
            redoc_js_url=f"{root}{ASSETS}/redoc.standalone.js",
            redoc_favicon_url=f"{root}{ASSETS}/favicon.png",
            with_google_fonts=False,
        )
        page.headers.update(POLICY)
        return page


def _root(request: Request) -> str:
    """The path under which a proxy serves the API; empty without one."""
    return str(request.scope.get("root_path", "")).rstrip("/")
