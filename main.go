// Command kilonova is the whole of Kilonova: servers, clients, drivers and the command line, in one program.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/kilonova-cloud/kilonova/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end; from then on signals have their usual effect, so that a second one ends
	// the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(command.Main(ctx, command.SystemEnv(), os.Args[1:]))
}
