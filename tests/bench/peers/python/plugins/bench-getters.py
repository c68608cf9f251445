"""Five getters, and a header from each, on kong-pdk for Python."""

Schema = ()
version = "0.1"
priority = 1


def value(result):
    return result[0] if isinstance(result, tuple) else result  # (value, error), as in Lua


class Plugin(object):
    def __init__(self, config):
        pass

    def access(self, kong):
        method = value(kong.request.get_method())
        path = value(kong.request.get_path())
        host = value(kong.request.get_host())
        agent = value(kong.request.get_header("user-agent"))
        client = value(kong.client.get_ip())
        kong.response.set_header("X-Method", method)
        kong.response.set_header("X-Path", path)
        kong.response.set_header("X-Host", host)
        kong.response.set_header("X-Agent", agent)
        kong.response.set_header("X-Client", client)
