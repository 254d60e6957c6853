package command

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/kilonova-cloud/kilonova/api"
)

func init() {
	registerParent("identity", "Make a new cluster's administrator", "Makes a new cluster usable: its first user, project and roles.")
	register(func() *definition {
		c := &identityBootstrap{}
		return &definition{
			name: "identity bootstrap", usage: "[options]", synopsis: "Make a new cluster's administrator", agent: true, output: true, flags: c.flags, run: c.run,
			prose: "Makes the domain Default, the roles, and the first user with the role admin. A\n" +
				"cluster accepts this once and without credentials. The password is printed this\n" +
				"one time and kept nowhere but as a hash; `-openrc` prints it as an openrc file:\n\n" +
				"    kilonova identity bootstrap -openrc >admin.openrc && . ./admin.openrc",
		}
	})
}

type identityBootstrap struct {
	request       api.BootstrapRequest
	passwordStdin bool
	openrc        bool
}

func (c *identityBootstrap) flags(set *flag.FlagSet) {
	set.StringVar(&c.request.UserName, "user", "", "`NAME` of the user. Default: admin")
	set.StringVar(&c.request.ProjectName, "project", "", "`NAME` of the project. Default: admin")
	set.BoolVar(&c.passwordStdin, "password-stdin", false, "Read the password from a line of stdin rather than have one made")
	set.BoolVar(&c.openrc, "openrc", false, "Print the result as an openrc file")
}

func (c *identityBootstrap) run(ctx context.Context, s *session, _ []string) error {
	if c.openrc && (s.output.json || s.output.template != "") {
		return usagef("-openrc is one more way to print the result; choose one")
	}
	if c.passwordStdin {
		line, err := bufio.NewReader(s.In).ReadString('\n')
		if c.request.Password = strings.TrimRight(line, "\r\n"); c.request.Password == "" {
			return usagef("there is no password on stdin (%v)", err)
		}
	}
	client, err := s.anonymous()
	if err != nil {
		return err
	}
	admin, err := client.Bootstrap(ctx, c.request)
	if err != nil {
		return err
	}
	if admin.AuthURL == "" {
		admin.AuthURL = client.Address() + "/identity/v3"
	}
	if c.openrc {
		_, err := io.WriteString(s.Out, openrcText(openrcOf(admin, s.general.caCert)))
		return err
	}
	return s.print(admin, func(w io.Writer) {
		details(w, [][2]string{{"Auth URL", admin.AuthURL}, {"User", admin.UserName}, {"Project", admin.ProjectName}, {"Domain", admin.DomainName},
			{"Region", admin.Region}, {"Password", admin.Password}})
		s.notef("\nKeep the password: it is shown this once.")
	})
}

func openrcOf(a api.Administrator, caCert string) [][2]string {
	return [][2]string{{"OS_AUTH_URL", a.AuthURL}, {"OS_USERNAME", a.UserName}, {"OS_PASSWORD", a.Password}, {"OS_PROJECT_NAME", a.ProjectName},
		{"OS_USER_DOMAIN_NAME", a.DomainName}, {"OS_PROJECT_DOMAIN_NAME", a.DomainName}, {"OS_REGION_NAME", a.Region},
		{"OS_IDENTITY_API_VERSION", "3"}, {"OS_CACERT", caCert}}
}

// openrcText writes shell lines that set variables; empty ones are left out. OS_CLOUD would win over them and is unset.
func openrcText(variables [][2]string) string {
	var b strings.Builder
	b.WriteString("unset OS_CLOUD\n")
	for _, v := range variables {
		if v[1] != "" {
			fmt.Fprintf(&b, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
		}
	}
	return b.String()
}
