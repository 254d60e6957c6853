package command

import (
	"context"
	"io"
)

func init() {
	register(func() *definition {
		return &definition{
			name: "openrc", usage: "[options]", synopsis: "Print a cloud's credentials as an openrc file", agent: true,
			prose: "Prints the credentials that this program would use as shell lines, for tools that\n" +
				"read OS_ variables but no clouds.yaml. The password is among them:\n\n" +
				"    eval \"$(kilonova openrc -cloud=NAME)\"",
			run: func(_ context.Context, s *session, _ []string) error {
				l, err := s.general.login()
				if err != nil {
					return err
				}
				if err := l.redirect(s.general.explicitAddress()); err != nil {
					return err
				}
				_, err = io.WriteString(s.Out, openrcText(l.variables()))
				return err
			},
		}
	})
}

func (l *login) variables() [][2]string {
	a := &l.auth
	variables := [][2]string{
		{"OS_AUTH_URL", a.IdentityEndpoint}, {"OS_USERNAME", a.Username}, {"OS_USER_ID", a.UserID}, {"OS_PASSWORD", a.Password}, {"OS_TOKEN", a.TokenID},
		{"OS_USER_DOMAIN_ID", a.DomainID}, {"OS_USER_DOMAIN_NAME", a.DomainName},
		{"OS_APPLICATION_CREDENTIAL_ID", a.ApplicationCredentialID}, {"OS_APPLICATION_CREDENTIAL_NAME", a.ApplicationCredentialName},
		{"OS_APPLICATION_CREDENTIAL_SECRET", a.ApplicationCredentialSecret},
		{"OS_REGION_NAME", l.endpoint.Region}, {"OS_IDENTITY_API_VERSION", "3"}, {"OS_CACERT", l.caFile},
	}
	if scope := a.Scope; scope != nil {
		variables = append(variables, [][2]string{{"OS_PROJECT_ID", scope.ProjectID}, {"OS_PROJECT_NAME", scope.ProjectName}}...)
		if scope.ProjectName != "" {
			variables = append(variables, [][2]string{{"OS_PROJECT_DOMAIN_ID", scope.DomainID}, {"OS_PROJECT_DOMAIN_NAME", scope.DomainName}}...)
		}
	}
	return variables
}
