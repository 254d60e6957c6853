package client

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // they wait for leases more than they work
		os.Exit(2)
	}
	goleak.VerifyTestMain(m)
}
