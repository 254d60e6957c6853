package agent

import (
	"cmp"
	"net/url"
	"path/filepath"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/server/image/glance"
)

const imagePath = "server.image."

// imageMode reads whose images are used.
func (r *resolver) imageMode(c *ImageConfig) {
	switch mode := value(c.Mode, "builtin"); mode {
	case "builtin":
		r.withoutEffect(imagePath, "a Glance; mode = \"glance\"", []said{{"endpoint", c.Endpoint}, {"auth_url", c.AuthURL}, {"username", c.Username}, {"password_file", c.PasswordFile},
			{"user_domain", c.UserDomain}, {"project", c.Project}, {"project_domain", c.ProjectDomain}, {"ca_file", c.CAFile}})
	case "glance":
		r.rt.Server.Image.Glance = r.glance(c)
	default:
		r.refuse(imagePath+"mode", "%q is not known; \"builtin\" or \"glance\" is right", mode)
	}
}

// glance reads which Glance has the images, and who reads and writes there. Where tokens are a Keystone's, that is asked, by the same user, unless another is named.
func (r *resolver) glance(c *ImageConfig) GlanceRuntime {
	k := &r.rt.Server.Identity.Keystone
	out := GlanceRuntime{Endpoint: value(c.Endpoint, ""), AuthURL: value(c.AuthURL, k.AuthURL), Username: value(c.Username, k.Username), UserDomain: value(c.UserDomain, cmp.Or(k.UserDomain, "Default")),
		Project: value(c.Project, k.Project), ProjectDomain: value(c.ProjectDomain, cmp.Or(k.ProjectDomain, "Default")), CAFile: value(c.CAFile, k.CAFile)}
	if out.Password = r.said(imagePath[:len(imagePath)-1], "password", nil, c.PasswordFile); c.PasswordFile == nil && c.Username == nil {
		out.Password = k.Password
	}
	for _, x := range []struct{ key, url, example string }{{"endpoint", out.Endpoint, "https://glance.example.org:9292"}, {"auth_url", out.AuthURL, "https://keystone.example.org/v3"}} {
		if u, err := url.Parse(x.url); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			r.refuse(imagePath+x.key, "%q is no URL; one such as %q is right", x.url, x.example)
		}
	}
	for _, x := range [][2]string{{"username", out.Username}, {"project", out.Project}} {
		if x[1] == "" {
			r.refuse(imagePath+x[0], "is needed with mode = \"glance\": the servers read and write the data of images as a user who may")
		}
	}
	if c.PasswordFile == nil && (c.Username != nil || k.Password == "") {
		r.refuse(imagePath+"password_file", "is needed with mode = \"glance\": the path of a file that holds the user's password")
	}
	if r.rt.Dev {
		r.refuse(imagePath+"mode", "\"glance\" does not go with -dev, which has an image of its own; an agent without -dev is right")
	}
	if out.CAFile != "" && !filepath.IsAbs(out.CAFile) {
		r.refuse(imagePath+"ca_file", "%q is relative; an absolute path is right", out.CAFile)
	} else if out.CAFile != "" && r.rt.Server.Enabled {
		if _, err := trusting(out.CAFile); err != nil {
			r.refuse(imagePath+"ca_file", "%s: %v", out.CAFile, withoutPath(err))
		}
	}
	return out
}

// client is who asks the Glance.
func (g *GlanceRuntime) client(logger hclog.Logger) (*glance.Client, error) {
	transport, err := trusting(g.CAFile)
	if err != nil {
		return nil, err
	}
	return glance.New(glance.Config{Endpoint: g.Endpoint, AuthURL: g.AuthURL, Username: g.Username, Password: g.Password, UserDomain: g.UserDomain, Project: g.Project,
		ProjectDomain: g.ProjectDomain, Transport: transport, Logger: logger}), nil
}
