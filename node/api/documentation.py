"""The API's own description as a page, from files that are installed here: a node may have no internet."""

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

STATIC = "/docs/static"
SPECIFICATION = "/openapi.json"
OPENAPI_VERSION = "3.0.3"
"""what the bundled Swagger UI reads; the calls need nothing newer"""


def routes(title: str) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    def page() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=SPECIFICATION,
            title=title,
            swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
            swagger_css_url=f"{STATIC}/swagger-ui.css",
            swagger_favicon_url="data:,",
        )

    return router


def files() -> StaticFiles:
    """Swagger UI's script and style."""
    return StaticFiles(directory=str(swagger_ui_path))
