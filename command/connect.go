package command

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/config"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
	"go.yaml.in/yaml/v3"

	"github.com/kilonova-cloud/kilonova/api"
	"github.com/kilonova-cloud/kilonova/version"
)

// defaultAddress is where a development agent listens.
const defaultAddress = "http://127.0.0.1:4746"

// computeMicroversion is what the command line speaks: it shows flavors whole (2.47) and lets networks be auto (2.37).
const computeMicroversion = "2.90"

// generalFlags say which agent to talk to and as whom.
type generalFlags struct {
	address  string
	cloud    string
	caCert   string
	insecure bool
}

func (g *generalFlags) register(set *flag.FlagSet) {
	set.StringVar(&g.address, "address", "", "`URL` of any server's HTTP API, such as "+defaultAddress+". Default: $KILONOVA_ADDR, else where the cloud's auth URL is")
	set.StringVar(&g.cloud, "cloud", "", "`NAME` of the cloud in clouds.yaml to take address and credentials from. Default: $OS_CLOUD, else $OS_AUTH_URL and the other OS_ variables")
	set.StringVar(&g.caCert, "ca-cert", "", "`FILE` with the CA certificate that signed the agent's. Default: $OS_CACERT, else the cloud's")
	set.BoolVar(&g.insecure, "insecure", false, "Do not check the agent's certificate")
}

// login is where to ask for a token, and how.
type login struct {
	auth     gophercloud.AuthOptions
	endpoint gophercloud.EndpointOpts
	tls      *tls.Config
	caFile   string // that tls was made with, "" for the system's
}

// errNoCredentials says how to give some.
var errNoCredentials = errors.New("there are no credentials: name a cloud of a clouds.yaml with -cloud or $OS_CLOUD, or set $OS_AUTH_URL, $OS_USERNAME, " +
	"$OS_PASSWORD and $OS_PROJECT_NAME; `kilonova agent -dev` writes a clouds.yaml, `kilonova identity bootstrap` makes a new cluster's first user")

// login finds the credentials: the cloud that was named, else the environment.
func (g *generalFlags) login() (*login, error) {
	options := []clouds.ParseOption{clouds.WithCACertPath(g.caCert)}
	if g.insecure {
		options = append(options, clouds.WithInsecure(true))
	}
	caFile := cmp.Or(g.caCert, os.Getenv("OS_CACERT"))
	name := cmp.Or(g.cloud, os.Getenv("OS_CLOUD"))
	switch {
	case name != "":
		options = append(options, clouds.WithCloudName(name), clouds.WithLocations(cloudsFiles()...))
		caFile = cmp.Or(caFile, cloudCAFile(name))
	case os.Getenv("OS_AUTH_URL") != "" || os.Getenv("OS_USERNAME") != "":
		options = append(options, clouds.WithCloudName("environment"), clouds.WithCloudsYAML(cloudOfEnvironment()))
	default:
		return nil, errNoCredentials
	}
	l, err := parseCloud(name, options)
	if err == nil {
		l.caFile = caFile
	}
	return l, err
}

// cloudCAFile is the cacert of a cloud, which the library uses but does not tell.
func cloudCAFile(name string) string {
	for _, file := range cloudsFiles() {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		var all clouds.Clouds
		if yaml.Unmarshal(text, &all) != nil {
			return ""
		}
		return all.Clouds[name].CACertFile
	}
	return ""
}

// parseCloud turns the library's panics on incomplete files into errors, too.
func parseCloud(name string, options []clouds.ParseOption) (l *login, err error) {
	defer func() {
		if recover() != nil {
			l, err = nil, fmt.Errorf("cloud %q has no auth section in clouds.yaml", name)
		}
	}()
	auth, endpoint, tlsConfig, err := clouds.Parse(options...)
	if err != nil {
		return nil, err
	}
	auth.AllowReauth = true
	return &login{auth: auth, endpoint: endpoint, tls: tlsConfig}, nil
}

// cloudsFiles are where a clouds.yaml may be, in the order of their weight: openstackclient's places, and the data directory
// of an agent on this machine, where a development agent writes one.
func cloudsFiles() []string {
	if file := os.Getenv("OS_CLIENT_CONFIG_FILE"); file != "" {
		return []string{file}
	}
	files := []string{"clouds.yaml"}
	if dir := os.Getenv("KILONOVA_DATA_DIR"); dir != "" {
		files = append(files, filepath.Join(dir, "clouds.yaml"))
	}
	if dir, err := os.UserHomeDir(); err == nil {
		files = append(files, filepath.Join(cmp.Or(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(dir, ".config")), "openstack", "clouds.yaml"))
	}
	return append(files, "/etc/openstack/clouds.yaml")
}

// cloudOfEnvironment is a clouds.yaml of what openrc files export. (JSON is YAML.)
func cloudOfEnvironment() *bytes.Reader {
	env := os.Getenv
	auth := clouds.AuthInfo{
		AuthURL: env("OS_AUTH_URL"), Token: env("OS_TOKEN"), Username: env("OS_USERNAME"), UserID: env("OS_USER_ID"), Password: env("OS_PASSWORD"),
		ProjectName: env("OS_PROJECT_NAME"), ProjectID: env("OS_PROJECT_ID"), SystemScope: env("OS_SYSTEM_SCOPE"),
		UserDomainName: env("OS_USER_DOMAIN_NAME"), UserDomainID: env("OS_USER_DOMAIN_ID"),
		ProjectDomainName: env("OS_PROJECT_DOMAIN_NAME"), ProjectDomainID: env("OS_PROJECT_DOMAIN_ID"),
		DomainName: env("OS_DOMAIN_NAME"), DomainID: env("OS_DOMAIN_ID"),
		ApplicationCredentialID: env("OS_APPLICATION_CREDENTIAL_ID"), ApplicationCredentialName: env("OS_APPLICATION_CREDENTIAL_NAME"),
		ApplicationCredentialSecret: env("OS_APPLICATION_CREDENTIAL_SECRET"),
	}
	text, _ := json.Marshal(clouds.Clouds{Clouds: map[string]clouds.Cloud{"environment": {AuthInfo: &auth, RegionName: env("OS_REGION_NAME")}}})
	return bytes.NewReader(text)
}

// explicitAddress is the agent that flags or environment name, or "".
func (g *generalFlags) explicitAddress() string { return cmp.Or(g.address, os.Getenv("KILONOVA_ADDR")) }

// connection is a logged-in session with a cluster.
type connection struct {
	provider *gophercloud.ProviderClient
	endpoint gophercloud.EndpointOpts
	native   *api.Client
	// allProjects follows other projects' instances, too; for administrators.
	allProjects bool
}

// connect logs in.
func (s *session) connect(ctx context.Context) (*connection, error) {
	l, err := s.general.login()
	if err != nil {
		return nil, err
	}
	if err := l.redirect(s.general.explicitAddress()); err != nil {
		return nil, err
	}
	provider, err := config.NewProviderClient(ctx, l.auth, config.WithTLSConfig(l.tls))
	if err != nil {
		return nil, fmt.Errorf("log in at %s: %w", l.auth.IdentityEndpoint, friendly(err))
	}
	provider.UserAgent.Prepend("kilonova/" + version.Number())
	native, err := api.New(api.Config{Address: l.auth.IdentityEndpoint, HTTP: &provider.HTTPClient, Token: tokens(provider)})
	if err != nil {
		return nil, err
	}
	return &connection{provider: provider, endpoint: l.endpoint, native: native}, nil
}

// redirect makes the login go to another agent than the cloud's auth URL names.
func (l *login) redirect(address string) error {
	if address == "" && l.auth.IdentityEndpoint == "" {
		address = defaultAddress
	}
	if address == "" {
		return nil
	}
	to, err := parseAddress(address)
	if err != nil {
		return err
	}
	auth, err := url.Parse(cmp.Or(l.auth.IdentityEndpoint, "/identity/v3"))
	if err != nil {
		return fmt.Errorf("the auth URL %q cannot be read: %w", l.auth.IdentityEndpoint, err)
	}
	auth.Scheme, auth.Host = to.Scheme, to.Host
	l.auth.IdentityEndpoint = auth.String()
	return nil
}

func parseAddress(address string) (*url.URL, error) {
	to, err := url.Parse(address)
	if err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https" {
		return nil, usagef("%q is no agent's address; a URL such as %s is right", address, defaultAddress)
	}
	return to, nil
}

// tokens hands the native client the token that the login got.
func tokens(provider *gophercloud.ProviderClient) api.TokenFunc {
	return func(ctx context.Context, fresh bool) (string, error) {
		token := provider.Token()
		if fresh {
			if err := provider.Reauthenticate(ctx, token); err != nil {
				return "", friendly(err)
			}
			token = provider.Token()
		}
		return token, nil
	}
}

// native logs in and returns the client of the agent's own API.
func (s *session) native(ctx context.Context) (*api.Client, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	return c.native, nil
}

// anonymous returns a client of the agent's own API without credentials.
func (s *session) anonymous() (*api.Client, error) {
	address := cmp.Or(s.general.explicitAddress(), os.Getenv("OS_AUTH_URL"), defaultAddress)
	if _, err := parseAddress(address); err != nil {
		return nil, err
	}
	options := []clouds.ParseOption{clouds.WithCACertPath(s.general.caCert), clouds.WithCloudName("environment"), clouds.WithCloudsYAML(cloudOfEnvironment())}
	if s.general.insecure {
		options = append(options, clouds.WithInsecure(true))
	}
	_, _, tlsConfig, err := clouds.Parse(options...) // for the certificates alone
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = tlsConfig
	return api.New(api.Config{Address: address, HTTP: &http.Client{Transport: transport}})
}

// compute returns the compute API's client.
func (c *connection) compute() (*gophercloud.ServiceClient, error) {
	client, err := openstack.NewComputeV2(c.provider, c.endpoint)
	if err != nil {
		return nil, fmt.Errorf("find the compute API: %w", err)
	}
	client.Microversion = computeMicroversion
	return client, nil
}

// image returns the image API's client.
func (c *connection) image() (*gophercloud.ServiceClient, error) {
	client, err := openstack.NewImageV2(c.provider, c.endpoint)
	if err != nil {
		return nil, fmt.Errorf("find the image API: %w", err)
	}
	return client, nil
}

// friendly makes of an OpenStack SDK's error what the API said.
func friendly(err error) error {
	var refused gophercloud.ErrUnexpectedResponseCode
	if errors.As(err, &refused) {
		if message := messageIn(refused.Body); message != "" {
			return fmt.Errorf("%s (HTTP %d)", message, refused.Actual)
		}
		return fmt.Errorf("%s %s answered %d: %s", refused.Method, refused.URL, refused.Actual, strings.TrimSpace(string(refused.Body)))
	}
	var unreachable *url.Error
	if errors.As(err, &unreachable) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("no agent can be reached at %s: %w", unreachable.URL, unreachable.Err)
	}
	var noFile *fs.PathError
	if errors.As(err, &noFile) {
		return noFile
	}
	return err
}

// messageIn finds the message in any of OpenStack's error bodies: {"message": ...} at the top or one level below.
func messageIn(body []byte) string {
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		return ""
	}
	var text string
	if json.Unmarshal(top["message"], &text) == nil && text != "" {
		text, _, _ = strings.Cut(text, "<br />") // the Image API's form ends so
		return text
	}
	for _, inner := range top {
		var below struct {
			Message string `json:"message"`
		}
		if json.Unmarshal(inner, &below) == nil && below.Message != "" {
			return below.Message
		}
	}
	return ""
}
