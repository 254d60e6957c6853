package api

import "context"

// BootstrapRequest asks for the administrator of a new cluster. What is left empty the agent chooses.
type BootstrapRequest struct {
	UserName    string `json:"user_name,omitempty"`
	ProjectName string `json:"project_name,omitempty"`
	Password    string `json:"password,omitempty"`
}

// Administrator is who Bootstrap made. The password is told this once.
type Administrator struct {
	UserName    string `json:"user_name"`
	ProjectName string `json:"project_name"`
	DomainName  string `json:"domain_name"`
	Password    string `json:"password"`
	AuthURL     string `json:"auth_url"`
	Region      string `json:"region"`
}

// Bootstrap makes the administrator, which a cluster accepts once and without a token. Later calls are refused with 409.
func (c *Client) Bootstrap(ctx context.Context, request BootstrapRequest) (admin Administrator, err error) {
	return admin, c.put(ctx, "/v1/identity/bootstrap", request, &admin)
}
