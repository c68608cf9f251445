"""The plugin api-version on kong-pdk for Python, for comparison."""

Schema = ({"version": {"type": "string"}},)
version = "0.1"
priority = 3000


class Plugin(object):
    def __init__(self, config):
        self.version = config.get("version") or "0.1"

    def access(self, kong):
        kong.response.set_header("Version", self.version)
