// Five getters, and a header from each, on go-pdk.
package main

import (
	"github.com/Kong/go-pdk"
	"github.com/Kong/go-pdk/server"
)

type Config struct{}

func New() interface{} {
	return &Config{}
}

func (conf Config) Access(kong *pdk.PDK) {
	method, _ := kong.Request.GetMethod()
	path, _ := kong.Request.GetPath()
	host, _ := kong.Request.GetHost()
	agent, _ := kong.Request.GetHeader("user-agent")
	client, _ := kong.Client.GetIp()
	kong.Response.SetHeader("X-Method", method)
	kong.Response.SetHeader("X-Path", path)
	kong.Response.SetHeader("X-Host", host)
	kong.Response.SetHeader("X-Agent", agent)
	kong.Response.SetHeader("X-Client", client)
}

func main() {
	server.StartServer(New, "0.1", 1)
}
