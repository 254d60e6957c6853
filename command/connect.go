package command

import (
	"flag"
)

// generalFlags say which agent to talk to and as whom.
type generalFlags struct {
	address  string
	cloud    string
	caCert   string
	insecure bool
}

func (g *generalFlags) register(set *flag.FlagSet) {
	set.StringVar(&g.address, "address", "", "`URL` of any agent's HTTP API, such as http://127.0.0.1:4746. Default: $KILONOVA_ADDR, else where the cloud's auth URL is")
	set.StringVar(&g.cloud, "cloud", "", "`NAME` of the cloud in clouds.yaml to take address and credentials from. Default: $OS_CLOUD, else $OS_AUTH_URL and the other OS_ variables")
	set.StringVar(&g.caCert, "ca-cert", "", "`FILE` with the CA certificate that signed the agent's. Default: $OS_CACERT, else the cloud's")
	set.BoolVar(&g.insecure, "insecure", false, "Do not check the agent's certificate")
}
