package blob

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirEnv); dir != "" {
		crash(dir, os.Getenv(crashAtEnv))
	}
	goleak.VerifyTestMain(m)
}
