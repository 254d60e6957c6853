package command

import "os"

// hangup is empty: Windows has no such signal. An empty list would ask for every signal, so it names one that never comes.
var hangup = []os.Signal{never{}}

type never struct{}

func (never) String() string { return "never" }
func (never) Signal()        {}
