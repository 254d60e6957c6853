package directory

import (
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// Domains have no configuration of their own: users and groups of all domains are in the servers' state. Reads answer what Keystone answers of a domain without
// one, and writes are refused.

// configOptions are the options of a domain's configuration by their groups (keystone/resource/core.py).
var configOptions = map[string][]string{
	"identity": {"driver", "list_limit"},
	"ldap": {"url", "user", "suffix", "query_scope", "page_size", "alias_dereferencing", "debug_level", "chase_referrals", "user_tree_dn", "user_filter",
		"user_objectclass", "user_id_attribute", "user_name_attribute", "user_mail_attribute", "user_description_attribute", "user_pass_attribute",
		"user_enabled_attribute", "user_enabled_invert", "user_enabled_mask", "user_enabled_default", "user_attribute_ignore",
		"user_default_project_id_attribute", "user_enabled_emulation", "user_enabled_emulation_dn", "user_enabled_emulation_use_group_config",
		"user_additional_attribute_mapping", "group_tree_dn", "group_filter", "group_objectclass", "group_id_attribute", "group_name_attribute",
		"group_members_are_ids", "group_member_attribute", "group_desc_attribute", "group_attribute_ignore", "group_additional_attribute_mapping",
		"tls_cacertfile", "tls_cacertdir", "use_tls", "tls_req_cert", "use_pool", "pool_size", "pool_retry_max", "pool_retry_delay",
		"pool_connection_timeout", "pool_connection_lifetime", "use_auth_pool", "auth_pool_size", "auth_pool_connection_lifetime"},
}

func (s *service) configRoutes() []httpapi.Route {
	const whole, group, option = "/domains/{id}/config", "/domains/{id}/config/{group}", "/domains/{id}/config/{group}/{option}"
	reader := httpapi.Check("identity:get_domain_config", systemReader)
	defaults := httpapi.Check("identity:get_domain_config_default", systemReader)
	open := httpapi.Authenticated("identity:get_security_compliance_domain_config")
	out := slices.Concat(
		reads("/domains/config/default", defaults, nil, 0, s.defaultConfig), reads("/domains/config/{group}/default", defaults, nil, 0, s.defaultConfig),
		reads("/domains/config/{group}/{option}/default", defaults, nil, 0, s.defaultConfig),
		reads(whole+"/security_compliance", open, nil, 0, s.passwordConfig), reads(whole+"/security_compliance/{option}", open, nil, 0, s.passwordConfig))
	for _, path := range []string{whole, group, option} {
		out = append(append(out, reads(path, reader, nil, 0, s.noConfig)...),
			httpapi.Route{Method: http.MethodPatch, Path: path, Rule: httpapi.Check("identity:update_domain_config", adminOnly), Body: configBody, Handler: s.refuseConfig},
			httpapi.Route{Method: http.MethodDelete, Path: path, Rule: httpapi.Check("identity:delete_domain_config", adminOnly), Status: http.StatusNoContent, Handler: s.deleteConfig})
	}
	return append(out, httpapi.Route{Method: http.MethodPut, Path: whole, Rule: httpapi.Check("identity:create_domain_config", adminOnly), Body: configBody, Handler: s.refuseConfig})
}

func badConfig(reason string, args ...any) error {
	return httpapi.Forbidden("Invalid domain specific configuration: "+reason+".", args...)
}

// known refuses groups and options that no domain's configuration has.
func known(group, option string) error {
	options, there := configOptions[group]
	switch {
	case group != "" && !there:
		return badConfig("Group %s is not supported for domain specific configurations", group)
	case option != "" && !slices.Contains(options, option):
		return badConfig("Option %s in group %s is not supported for domain specific configurations", option, group)
	}
	return nil
}

// configured finds the domain of a request and checks the group and option that it names.
func configured(r *httpapi.Request) error {
	st, err := base.Read(r)
	if err != nil {
		return err
	}
	if st.Domain(structs.DomainID(r.Vars["id"])) == nil {
		return base.NotFound("domain", r.Vars["id"])
	}
	return known(r.Vars["group"], r.Vars["option"])
}

func (s *service) noConfig(r *httpapi.Request) (any, error) {
	if err := configured(r); err != nil {
		return nil, err
	}
	what := "any options"
	if g := r.Vars["group"]; g != "" {
		what = "group " + g
		if o := r.Vars["option"]; o != "" {
			what = "option " + o + " in " + what
		}
	}
	return nil, httpapi.NotFound("Could not find %s in domain configuration for domain %s.", what, r.Vars["id"])
}

// refuseConfig answers who wants to write one. A part of it is not there to be changed.
func (s *service) refuseConfig(r *httpapi.Request) (any, error) {
	if r.Vars["group"] != "" {
		return s.noConfig(r)
	}
	if err := configured(r); err != nil {
		return nil, err
	}
	return nil, badConfig("The users and groups of every domain are kept by this service, and no domain has options of its own")
}

func (s *service) deleteConfig(r *httpapi.Request) (any, error) {
	if r.Vars["group"] != "" {
		return s.noConfig(r)
	}
	return nil, configured(r)
}

// passwordConfig tells what passwords must be, to everybody.
func (s *service) passwordConfig(r *httpapi.Request) (any, error) {
	if r.Vars["id"] != string(base.DefaultDomain) {
		return nil, badConfig("Reading security compliance information for any domain other than the default domain is not allowed or supported.")
	}
	all := map[string]any{"password_regex": base.OrNull(s.o.Security.PasswordRegex), "password_regex_description": base.OrNull(s.o.Security.PasswordRegexWords)}
	option := r.Vars["option"]
	if option == "" {
		return map[string]any{"config": map[string]any{"security_compliance": all}}, nil
	}
	v, there := all[option]
	if !there {
		return nil, badConfig("Reading security compliance values other than password_regex and password_regex_description is not allowed.")
	}
	return map[string]any{"config": map[string]any{option: v}}, nil
}

// defaultConfig is what a domain has without a configuration: no LDAP, so all of its options are null.
func (s *service) defaultConfig(r *httpapi.Request) (any, error) {
	group, option := r.Vars["group"], r.Vars["option"]
	if err := known(group, option); err != nil {
		return nil, err
	}
	value := func(group, option string) any {
		if group == "identity" && option == "driver" {
			return "sql" // Keystone's word for users that it keeps itself
		}
		return nil
	}
	if option != "" {
		return map[string]any{"config": map[string]any{option: value(group, option)}}, nil
	}
	all := map[string]map[string]any{}
	for g, options := range configOptions {
		if group != "" && group != g {
			continue
		}
		all[g] = map[string]any{}
		for _, o := range options {
			all[g][o] = value(g, o)
		}
	}
	return map[string]any{"config": all}, nil
}
