"""HTTP routes beside the page: map tiles, heat maps, thumbnails, and answers as JSON."""

from mars_map.web.routes import lifespan, routes
from mars_map.web.service import Service, service

__all__ = ["Service", "lifespan", "routes", "service"]
