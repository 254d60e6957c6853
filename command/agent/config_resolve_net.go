package agent

import (
	"net"
	"strconv"
	"strings"
)

func portText(port int) string { return strconv.Itoa(port) }

func isPort(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n >= 1 && n <= 65535
}

// service is one of the agent's ports as configured.
type service struct {
	name      string
	port      *int
	fallback  int
	address   *string
	advertise *string
	out       *Endpoint
	bound     int // the port that was settled on
}

func (r *resolver) endpoints() {
	c := r.config
	services := []*service{
		{name: "http", port: c.Ports.HTTP, fallback: defaultHTTPPort, address: c.Addresses.HTTP, advertise: c.Advertise.HTTP, out: &r.rt.HTTP},
		{name: "rpc", port: c.Ports.RPC, fallback: defaultRPCPort, address: c.Addresses.RPC, advertise: c.Advertise.RPC, out: &r.rt.RPC},
		{name: "serf", port: c.Ports.Serf, fallback: defaultSerfPort, address: c.Addresses.Serf, advertise: c.Advertise.Serf, out: &r.rt.Serf},
	}
	bind := r.ip("bind_addr", value(c.BindAddr, "0.0.0.0"))
	for i, s := range services {
		host := bind
		if s.address != nil {
			host = r.ip("addresses."+s.name, *s.address)
		}
		s.bound = r.port(s)
		s.out.Bind = net.JoinHostPort(host, portText(s.bound))
		s.out.Advertise = r.advertise(s, host)
		for _, other := range services[:i] {
			if other.bound == s.bound && s.bound != 0 {
				r.refuse("ports."+s.name, "%d is also ports.%s; three different ports are right, such as http %d, rpc %d, serf %d",
					s.bound, other.name, defaultHTTPPort, defaultRPCPort, defaultSerfPort)
			}
		}
	}
}

func (r *resolver) ip(path, text string) string {
	if net.ParseIP(text) == nil {
		r.refuse(path, "%q is no IP address; one of this machine's, 0.0.0.0 or [::] without brackets is right", text)
	}
	return text
}

func (r *resolver) port(s *service) int {
	n := value(s.port, s.fallback)
	if n == 0 && r.rt.Dev { // the kernel chooses: others could not find a lasting agent at such a port
		return n
	}
	if n < 1 || n > 65535 {
		r.refuse("ports."+s.name, "%d cannot be a port; 1 to 65535 is right", n)
	}
	return n
}

// advertise returns where others reach a service that listens on host.
func (r *resolver) advertise(s *service, host string) string {
	path := "advertise." + s.name
	if s.advertise != nil {
		whole, problem := withPort(*s.advertise, s.bound)
		if problem != "" {
			r.refuse(path, "%q %s; HOST or HOST:PORT that other agents reach this one at is right", *s.advertise, problem)
		} else if h, _, _ := net.SplitHostPort(whole); net.ParseIP(h) != nil && net.ParseIP(h).IsUnspecified() {
			r.refuse(path, "%q is every address and so none; one that other agents reach this one at is right", *s.advertise)
		}
		return whole
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = r.ownAddress(path, ip.To4() != nil)
	}
	return net.JoinHostPort(host, portText(s.bound))
}

// ownAddress picks the address of this machine that others most likely mean: the one that its default route leaves from.
// Bridges that come with guests do not change it, so that an agent that started once starts again.
func (r *resolver) ownAddress(path string, v4 bool) string {
	if ip := r.system.outgoing(v4); ip != nil {
		r.note("%s is %s, where the default route leaves from; set it if other agents reach this one elsewhere", path, ip)
		return ip.String()
	}
	found := r.candidates(path, v4)
	switch {
	case len(found) == 1:
		return found[0]
	case len(found) == 0:
		r.refuse(path, "this machine has no address that others could reach; bind_addr = \"127.0.0.1\" for a cluster on this machine alone, or %s, is right", path)
	default:
		r.refuse(path, "this machine has no default route and %d addresses (%s); %s with the one that other agents reach is right",
			len(found), strings.Join(found, ", "), path)
	}
	return "127.0.0.1"
}

func (r *resolver) candidates(path string, v4 bool) (found []string) {
	addrs, err := r.system.interfaces()
	if err != nil {
		r.refuse(path, "this machine's addresses cannot be read (%v); set it", err)
	}
	for _, addr := range addrs {
		network, ok := addr.(*net.IPNet)
		if ok && network.IP.IsGlobalUnicast() && (network.IP.To4() != nil) == v4 {
			found = append(found, network.IP.String())
		}
	}
	return found
}

// outgoing returns the source address of the default route. "Connecting" UDP sends nothing; the target is a
// documentation address.
func outgoing(v4 bool) net.IP {
	target := "[2001:db8::1]:9"
	if v4 {
		target = "192.0.2.1:9"
	}
	conn, err := net.Dial("udp", target)
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	if addr, ok := conn.LocalAddr().(*net.UDPAddr); ok && addr.IP.IsGlobalUnicast() {
		return addr.IP
	}
	return nil
}
