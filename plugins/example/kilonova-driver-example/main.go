// Command kilonova-driver-example is a driver plugin as a program of its own: name it in the agent's configuration as the
// command of a driver. Its guests last as long as it does.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
	"github.com/kilonova-cloud/kilonova/plugins/example"
)

func main() {
	host := example.NewHost()
	err := driver.Serve(driver.ServeConfig{
		Name: "example",
		New:  func(hclog.Logger) driver.Driver { return example.New(host) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
