// Five getters, and a header from each, on kong-pdk for JavaScript.
'use strict'

class BenchGetters {
  async access (kong) {
    const method = await kong.request.get_method()
    const path = await kong.request.get_path()
    const host = await kong.request.get_host()
    const agent = await kong.request.get_header('user-agent')
    const client = await kong.client.get_ip()
    await kong.response.set_header('X-Method', method)
    await kong.response.set_header('X-Path', path)
    await kong.response.set_header('X-Host', host)
    await kong.response.set_header('X-Agent', agent)
    await kong.response.set_header('X-Client', client)
  }
}

module.exports = {
  Plugin: BenchGetters,
  Schema: [],
  Version: '0.1',
  Priority: 1
}
