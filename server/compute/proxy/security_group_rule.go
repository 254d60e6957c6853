package proxy

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// securityGroupRuleBody takes ports as numbers or as text, as Nova does.
type securityGroupRuleBody struct {
	Rule struct {
		ParentID string         `json:"parent_group_id"`
		SourceID string         `json:"group_id"`
		Protocol base.FlexText  `json:"ip_protocol"`
		From     *base.FlexText `json:"from_port"`
		To       *base.FlexText `json:"to_port"`
		CIDR     base.FlexText  `json:"cidr"`
	} `json:"security_group_rule"`
}

func (s *service) createSecurityGroupRule(r *httpapi.Request) (any, error) {
	body, err := base.Decode[securityGroupRuleBody](r)
	if err != nil {
		return nil, err
	}
	in := &body.Rule
	groups := s.Services.SecurityGroups
	parent, err := groups.SecurityGroup(r, in.ParentID)
	if err != nil {
		return nil, err
	}
	rule := SecurityGroupRule{GroupID: parent.ID, Protocol: string(in.Protocol)}
	if in.SourceID != "" {
		source, err := groups.SecurityGroup(r, in.SourceID)
		if err != nil {
			return nil, err
		}
		rule.SourceID, rule.SourceName, rule.SourceProject = source.ID, source.Name, source.ProjectID
	} else if rule.CIDR, err = parseCIDR(string(in.CIDR)); err != nil {
		return nil, err
	}
	if err := setPorts(&rule, in.From, in.To); err != nil {
		return nil, err
	}
	made, err := groups.CreateSecurityGroupRule(r, rule)
	if err != nil {
		return nil, err
	}
	return map[string]any{"security_group_rule": securityGroupRuleView(made)}, nil
}

// parseCIDR takes everything for nothing. A prefix of length 0 is everything: it has no other address in it.
func parseCIDR(s string) (string, error) {
	if s == "" {
		return "0.0.0.0/0", nil
	}
	if u, err := url.PathUnescape(s); err == nil {
		s = u
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return "", httpapi.BadRequest("%s is not a valid IP network.", s)
	}
	if p.Bits() == 0 && !p.Addr().IsUnspecified() {
		return "", httpapi.BadRequest("Bad prefix for network in cidr %s", s)
	}
	return s, nil
}

// setPorts reads the range. A rule for a group may leave it out and is then for all ports; one for a network may not.
func setPorts(rule *SecurityGroupRule, from, to *base.FlexText) error {
	protocol := strings.ToUpper(rule.Protocol)
	if rule.SourceID != "" && from == nil && to == nil {
		switch protocol {
		case "ICMP":
			rule.FromPort, rule.ToPort = number(-1), number(-1)
		case "TCP", "UDP":
			rule.FromPort, rule.ToPort = number(1), number(65535)
		}
	}
	if protocol == "" || from == nil || to == nil {
		if rule.SourceID == "" {
			return httpapi.BadRequest("Not enough parameters to build a valid rule.")
		}
		if rule.FromPort == nil { // neither protocol nor ports: everything from the group
			rule.Protocol = ""
		}
		return nil
	}
	low, err1 := strconv.ParseInt(string(*from), 10, 64)
	high, err2 := strconv.ParseInt(string(*to), 10, 64)
	if err1 != nil || err2 != nil {
		if protocol == "ICMP" {
			return httpapi.BadRequest("Invalid input received: Type and Code must be integers for ICMP protocol type")
		}
		return httpapi.BadRequest("Invalid input received: To and From ports must be integers")
	}
	rule.FromPort, rule.ToPort = &low, &high
	return checkPorts(protocol, rule.Protocol, low, high)
}

func number(n int64) *int64 { return &n }

func checkPorts(protocol, asked string, low, high int64) error {
	invalid := func(why string) error { return httpapi.BadRequest("Invalid port range %d:%d. %s", low, high, why) }
	switch protocol {
	case "TCP", "UDP":
		if low > high {
			return invalid("Former value cannot be greater than the later")
		}
		if low < 1 || high > 65535 {
			return invalid("Valid " + protocol + " ports should be between 1-65535")
		}
	case "ICMP":
		if min(low, high) < -1 || max(low, high) > 255 {
			return invalid("For ICMP, the type:code must be valid")
		}
	default:
		return httpapi.BadRequest("Invalid IP protocol %s.", asked)
	}
	return nil
}
