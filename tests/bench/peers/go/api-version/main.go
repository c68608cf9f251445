// The plugin api-version on go-pdk, for comparison.
package main

import (
	"github.com/Kong/go-pdk"
	"github.com/Kong/go-pdk/server"
)

type Config struct {
	Version string
}

func New() interface{} {
	return &Config{}
}

func (conf Config) Access(kong *pdk.PDK) {
	version := conf.Version
	if version == "" {
		version = "0.1"
	}
	kong.Response.SetHeader("Version", version)
}

func main() {
	server.StartServer(New, "0.1", 3000)
}
