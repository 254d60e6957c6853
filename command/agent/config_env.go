package agent

import "strings"

// Variables are the environment variables that the agent reads. They win over files and yield to flags.
var Variables = []Variable{
	{"KILONOVA_NAME", "name of this agent", "name", func(c *Config, v string) { c.Name = &v }},
	{"KILONOVA_REGION", "region of the cluster", "region", func(c *Config, v string) { c.Region = &v }},
	{"KILONOVA_ZONE", "availability zone of this agent's hosts", "zone", func(c *Config, v string) { c.Zone = &v }},
	{"KILONOVA_DATA_DIR", "absolute path of the data directory", "data_dir", func(c *Config, v string) { c.DataDir = &v }},
	{"KILONOVA_BIND_ADDR", "IP address to listen on", "bind_addr", func(c *Config, v string) { c.BindAddr = &v }},
	{"KILONOVA_LOG_LEVEL", "trace, debug, info, warn or error", "log_level", func(c *Config, v string) { c.LogLevel = &v }},
	{"KILONOVA_ENCRYPT", "gossip key, so that it need not stand in a file", "server.encrypt client.encrypt", func(c *Config, v string) {
		c.Server, c.Client = &ServerConfig{Encrypt: &v}, &ClientConfig{Encrypt: &v}
	}},
}

// Variable is one environment variable.
type Variable struct {
	Name, Help string
	paths      string // of Config, separated by spaces
	set        func(*Config, string)
}

// loadEnvironment lays what the environment says over l. An empty variable says nothing.
func (l *loaded) loadEnvironment(getenv func(string) string) {
	for _, v := range Variables {
		text := getenv(v.Name)
		if text == "" {
			continue
		}
		config, from := &Config{}, sources{}
		v.set(config, text)
		for path := range strings.FieldsSeq(v.paths) {
			from[path] = "$" + v.Name
		}
		l.overlay(config, from)
	}
}
