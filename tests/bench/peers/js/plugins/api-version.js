// The plugin api-version on kong-pdk for JavaScript, for comparison.
'use strict'

class ApiVersion {
  constructor (config) {
    this.version = config.version || '0.1'
  }

  async access (kong) {
    await kong.response.set_header('Version', this.version)
  }
}

module.exports = {
  Plugin: ApiVersion,
  Schema: [{ version: { type: 'string' } }],
  Version: '0.1',
  Priority: 3000
}
