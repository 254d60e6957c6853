package computetest

import (
	"fmt"
	"strings"
)

// instances are requests about instances that exist, or that the caller may not see.
func instances(w World) []BadRequest {
	gone := func(id string) string { return "Instance " + id + " could not be found." }
	act := func(name string, as Caller, id, body string, status int, fault, message string) BadRequest {
		return BadRequest{Name: name, As: as, Method: "POST", Path: "/servers/" + id + "/action", Body: body, Status: status, Fault: fault, Message: message}
	}
	put := func(name, version, body string, status int, fault, message string) BadRequest {
		return BadRequest{Name: name, Version: version, Method: "PUT", Path: "/servers/" + w.Active, Body: body, Status: status, Fault: fault, Message: message}
	}
	return []BadRequest{
		{Name: "unknown instance", Path: "/servers/" + nowhere, Status: 404, Fault: missing, Message: gone(nowhere)},
		{Name: "instance by no id", Path: "/servers/detail.json", Status: 404, Fault: missing, Message: gone("detail.json")},
		{Name: "another project's instance", Path: "/servers/" + w.Others, Status: 404, Fault: missing, Message: gone(w.Others)},
		{Name: "delete another project's instance", Method: "DELETE", Path: "/servers/" + w.Others, Status: 404, Fault: missing, Message: gone(w.Others)},
		{Name: "delete an unknown instance", Method: "DELETE", Path: "/servers/" + nowhere, Status: 404, Fault: missing, Message: gone(nowhere)},
		{Name: "reader deletes", As: Reader, Method: "DELETE", Path: "/servers/" + w.Active, Status: 403, Fault: forbidden, Message: policy("os_compute_api:servers:delete")},
		{Name: "update another project's instance", Method: "PUT", Path: "/servers/" + w.Others, Body: `{"server": {"name": "mine"}}`, Status: 404, Fault: missing,
			Message: gone(w.Others)},
		{Name: "unknown query at 2.102", Version: "2.102", Path: "/servers/" + w.Active + "?foo=1", Status: 400, Fault: bad,
			Message: "Additional properties are not allowed ('foo' was unexpected)"},
		put("update with an unknown key", "", `{"server": {"nom": "x"}}`, 400, bad, field("server", "{'nom': 'x'}",
			"Additional properties are not allowed ('nom' was unexpected)")),
		put("update of nothing known", "", `{"name": "x"}`, 400, bad, "…"),
		put("update to a bad address", "", `{"server": {"accessIPv6": "1.2.3.4"}}`, 400, bad, field("accessIPv6", "1.2.3.4", "'1.2.3.4' is not a 'ipv6'")),
		put("hostname before its time", "2.89", `{"server": {"hostname": "web"}}`, 400, bad, field("server", "{'hostname': 'web'}",
			"Additional properties are not allowed ('hostname' was unexpected)")),
		put("hostname with an underscore", "2.93", `{"server": {"hostname": "a_b"}}`, 400, bad,
			"Invalid input for field/attribute hostname. Value: a_b. 'a_b' does not match…"),
		put("pinned zone before its time", "2.103", `{"server": {"pinned_availability_zone": null}}`, 400, bad, "Invalid input for field/attribute server. Value: {…"),
		put("pin to another zone", "2.104", `{"server": {"pinned_availability_zone": "elsewhere"}}`, 409, conflict,
			"Server can only be pinned to its current availability zone 'nova', but 'elsewhere' was requested."),
		act("unknown action", Member, w.Active, `{"nosuch": null}`, 400, bad, "There is no such action: nosuch"),
		act("unknown action on an unknown instance", Member, nowhere, `{"nosuch": null}`, 400, bad, "There is no such action: nosuch"),
		act("two actions", Member, w.Active, `{"os-stop": null, "os-start": null}`, 400, bad, "Malformed request body"),
		act("no action", Member, w.Active, `{}`, 400, bad, "Malformed request body"),
		act("start what runs", Member, w.Active, `{"os-start": null}`, 409, conflict, "Cannot 'start' instance "+w.Active+" while it is in vm_state active"),
		act("stop an unknown instance", Member, nowhere, `{"os-stop": null}`, 404, missing, gone(nowhere)),
		act("stop another project's instance", Member, w.Others, `{"os-stop": null}`, 404, missing, gone(w.Others)),
		act("reader stops", Reader, w.Active, `{"os-stop": null}`, 403, forbidden, policy("os_compute_api:servers:stop")),
		act("reboot of another type", Member, w.Active, `{"reboot": {"type": "LUKEWARM"}}`, 400, bad,
			"Invalid input for field/attribute type. Value: LUKEWARM. 'LUKEWARM' is not one of…"),
		act("reboot without type", Member, w.Active, `{"reboot": {}}`, 400, bad, field("reboot", "{}", "'type' is a required property")),
		act("console output of minus two lines", Member, w.Active, `{"os-getConsoleOutput": {"length": -2}}`, 400, bad, field("length", "-2",
			"-2 is less than the minimum of -1")),
		act("console output of some lines", Member, w.Active, `{"os-getConsoleOutput": {"length": "some"}}`, 400, bad,
			"Invalid input for field/attribute length. Value: some. 'some' does not match…"),
		act("console of another project's instance", Member, w.Others, `{"os-getConsoleOutput": {}}`, 404, missing, gone(w.Others)),
	}
}

// lists are lists of instances that are asked for wrongly.
func lists(w World) []BadRequest {
	get := func(name string, as Caller, version, q string, status int, fault, message string) BadRequest {
		return BadRequest{Name: name, As: as, Version: version, Path: "/servers/detail?" + q, Status: status, Fault: fault, Message: message}
	}
	boolean := "Invalid input received: Unrecognized value 'maybe', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'"
	return []BadRequest{
		get("negative limit", Member, "", "limit=-1", 400, bad, query("limit", "-1", "'-1' does not match '^[0-9]*$'")),
		get("limit is a word", Member, "", "limit=abc", 400, bad, query("limit", "abc", "'abc' does not match '^[0-9]*$'")),
		get("unknown marker", Member, "", "marker="+nowhere, 400, bad, "marker ["+nowhere+"] not found"),
		get("unknown query at 2.75", Member, "2.75", "foo=1", 400, bad, "'foo' does not match any of the regexes: '^_'"),
		get("unknown sort key", Member, "", "sort_key=mood", 400, bad, "Invalid input for query parameters sort_key. Value: mood. 'mood' is not one of…"),
		get("dropped sort key at 2.75", Member, "2.75", "sort_key=vcpus", 400, bad, "Invalid input for query parameters sort_key. Value: vcpus. 'vcpus' is not one of…"),
		get("unknown sort direction", Member, "", "sort_dir=sideways", 400, bad, "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'"),
		get("more directions than keys", Member, "", "sort_dir=asc&sort_dir=asc", 400, bad, "Invalid input received: Sort direction size exceeds sort key size"),
		get("user sorts by host", Member, "", "sort_key=host", 403, forbidden, "Only administrators can sort servers by host"),
		get("user asks for all", Member, "", "all_tenants=1", 403, forbidden, policy("os_compute_api:servers:detail:get_all_tenants")),
		{Name: "user asks for all names", Path: "/servers?all_tenants", Status: 403, Fault: forbidden, Message: policy("os_compute_api:servers:index:get_all_tenants")},
		get("all_tenants is maybe", Member, "", "all_tenants=maybe", 400, bad, boolean),
		get("locked is maybe", Member, "2.73", "locked=maybe", 400, bad, boolean),
		get("unknown status at 2.38", Member, "2.38", "status=tired", 400, bad, "Invalid status value"),
		get("user lists deleted ones", Member, "", "status=deleted", 403, forbidden, "Only administrators may list deleted instances"),
		get("changes-since is no time", Member, "", "changes-since=yesterday", 400, bad, query("changes-since", "yesterday", "'yesterday' is not a 'date-time'")),
		get("changes-before before changes-since", Member, "2.66", "changes-since=2026-02-02T00:00:00Z&changes-before=2026-01-01T00:00:00Z", 400, bad,
			"The value of changes-since must be less than or equal to changes-before."),
		get("name is no regular expression", Member, "", "name=%28", 400, bad, query("name", "(", "'(' is not a 'regex'")),
		get("name is nothing", Member, "", "name=", 400, bad, "Invalid input for query parameters name. Value: . ''…"),
		get("filter by a joined table", Admin, "", "metadata=x", 400, bad, "Invalid filter field: metadata."),
		get("filter by a private column", Admin, "", "_secret=x", 400, bad, "Invalid filter field: _secret."),
	}
}

// flavors are wrong requests about flavors.
func flavors(w World) []BadRequest {
	post := func(name string, as Caller, version, body string, status int, fault, message string) BadRequest {
		return BadRequest{Name: "flavor: " + name, As: as, Version: version, Method: "POST", Path: "/flavors", Body: `{"flavor": {` + body + `}}`, Status: status,
			Fault: fault, Message: message}
	}
	get := func(name string, as Caller, version, path string, status int, fault, message string) BadRequest {
		return BadRequest{Name: "flavor: " + name, As: as, Version: version, Path: "/flavors" + path, Status: status, Fault: fault, Message: message}
	}
	right := `"ram": 1, "vcpus": 1, "disk": 1`
	gone := func(id string) string { return "Flavor " + id + " could not be found." }
	return []BadRequest{
		post("user creates", Member, "", `"name": "mine", `+right, 403, forbidden, policy("os_compute_api:os-flavor-manage:create")),
		post("id is taken", Admin, "", `"name": "other", "id": "`+w.Flavor+`", `+right, 409, conflict, "Flavor with ID "+w.Flavor+" already exists."),
		post("no vcpus", Admin, "", `"name": "x", "ram": 1, "disk": 1`, 400, bad, field("flavor", "{'name': 'x', 'ram': 1, 'disk': 1}", "'vcpus' is a required property")),
		post("no memory", Admin, "", `"name": "x", "ram": 0, "vcpus": 1, "disk": 1`, 400, bad, field("ram", "0", "0 is less than the minimum of 1")),
		post("too much memory", Admin, "", `"name": "x", "ram": 2147483648, "vcpus": 1, "disk": 1`, 400, bad, field("ram", "2147483648",
			"2147483648 is greater than the maximum of 2147483647")),
		post("memory is a fraction", Admin, "", `"name": "x", "ram": 1.5, "vcpus": 1, "disk": 1`, 400, bad, field("ram", "1.5", "1.5 is not of type 'integer', 'string'")),
		post("id with a slash", Admin, "", `"name": "x", "id": "a/b", `+right, 400, bad, "Invalid input for field/attribute id. Value: a/b. 'a/b' does not match…"),
		post("description before its time", Admin, "2.54", `"name": "x", "description": "d", `+right, 400, bad, "Invalid input for field/attribute flavor. Value: {…"),
		post("rxtx_factor after its time", Admin, "2.102", `"name": "x", "rxtx_factor": 1.0, `+right, 400, bad, "Invalid input for field/attribute flavor. Value: {…"),
		get("unknown", Member, "", "/nosuch", 404, missing, gone("nosuch")),
		get("private", Member, "", "/"+w.Private, 404, missing, gone(w.Private)),
		get("extra specs of an unknown one", Member, "", "/nosuch/os-extra_specs", 404, missing, gone("nosuch")),
		get("unknown extra spec", Member, "", "/"+w.Flavor+"/os-extra_specs/nosuch", 404, missing, "Flavor "+w.Flavor+" has no extra specs with key nosuch."),
		get("minRam is a word", Member, "", "?minRam=much", 400, bad, "Invalid minRam filter [much]"),
		get("minDisk is a word", Member, "", "/detail?minDisk=much", 400, bad, "Invalid minDisk filter [much]"),
		get("is_public is maybe", Admin, "", "?is_public=maybe", 400, bad, "Invalid is_public filter [maybe]"),
		get("unknown marker", Member, "", "?marker=nosuch", 400, bad, "marker [nosuch] not found"),
		get("unknown sort direction", Member, "", "?sort_dir=up", 400, bad, query("sort_dir", "up", "'up' is not one of ['asc', 'desc']")),
		get("unknown query at 2.75", Member, "2.75", "?foo=1", 400, bad, "Additional properties are not allowed ('foo' was unexpected)"),
		{Name: "flavor: delete an unknown one", As: Admin, Method: "DELETE", Path: "/flavors/nosuch", Status: 404, Fault: missing, Message: gone("nosuch")},
		{Name: "flavor: user deletes", Method: "DELETE", Path: "/flavors/" + w.Flavor, Status: 403, Fault: forbidden,
			Message: policy("os_compute_api:os-flavor-manage:delete")},
		{Name: "flavor: update before its time", As: Admin, Version: "2.54", Method: "PUT", Path: "/flavors/" + w.Flavor, Body: `{"flavor": {"description": "d"}}`,
			Status: 404, Fault: missing,
			Message: "The resource could not be found."},
		{Name: "flavor: update its name", As: Admin, Version: "2.55", Method: "PUT", Path: "/flavors/" + w.Flavor, Body: `{"flavor": {"name": "d"}}`, Status: 400,
			Fault: bad, Message: "…"},
	}
}

// keypairs are wrong requests about keypairs.
func keypairs(w World) []BadRequest {
	post := func(name, version, body string, status int, fault, message string) BadRequest {
		return BadRequest{Name: "keypair: " + name, Version: version, Method: "POST", Path: "/os-keypairs", Body: `{"keypair": {` + body + `}}`, Status: status,
			Fault: fault, Message: message}
	}
	key := `"public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA8FIhjWOnf5yb7BmAM+dDsv3e8r7LXhRRcVWKUOqGcd a"`
	commented := func(comment string) string { return strings.TrimSuffix(key, `a"`) + comment + `"` }
	unfit := "Keypair data is invalid: failed to generate fingerprint"
	control := unfit + ": it has the control character U+…"
	return []BadRequest{
		post("no name", "", key, 400, bad, "Invalid input for field/attribute keypair. Value: {…"),
		post("name with a slash", "", `"name": "a/b", `+key, 400, bad, "Invalid input for field/attribute name. Value: a/b. 'a/b' does not match…"),
		post("name with @ before 2.92", "2.91", `"name": "a@b", `+key, 400, bad, "Invalid input for field/attribute name. Value: a@b. 'a@b' does not match…"),
		post("name is taken", "", `"name": "`+w.Keypair+`", `+key, 409, conflict, "Key pair '"+w.Keypair+"' already exists."),
		post("no key", "", `"name": "x", "public_key": ""`, 400, bad, unfit),
		post("key is no base64", "", `"name": "x", "public_key": "ssh-rsa %%%"`, 400, bad, unfit),
		post("key of another type than it says", "", `"name": "x", "public_key": "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIA8FIhjWOnf5yb7BmAM+dDsv3e8r7LXhRRcVWKUOqGcd"`, 400, bad,
			unfit),
		post("NUL in a key's comment", "", `"name": "x", `+commented(`a\u0000b`), 400, bad, control),
		post("escape sequence in a key's comment", "", `"name": "x", `+commented(`\u001b[31m`), 400, bad, control),
		post("C1 control character in a key's comment", "", `"name": "x", `+commented(`a\u009bb`), 400, bad, control),
		post("form feed after a key", "", `"name": "x", `+commented(`a\f`), 400, bad, control),
		post("two lines of keys", "", `"name": "x", `+commented(`a\nssh-rsa AAAA`), 400, bad, unfit),
		post("certificate after a NUL", "2.2", `"name": "x", "type": "x509", "public_key": "\u0000-----BEGIN CERTIFICATE-----"`, 400, bad,
			"Keypair data is invalid: failed to generate X509 fingerprint. Error message: it has the control character U+0000"),
		post("certificate that is none", "2.2", `"name": "x", "type": "x509", "public_key": "hello"`, 400, bad,
			"Keypair data is invalid: failed to generate X509 fingerprint. Error message:…"),
		post("generate a certificate", "2.2", `"name": "x", "type": "x509"`, 400, bad, "Keypair data is invalid: x509 certificates are not generated here…"),
		post("generate at 2.92", "2.92", `"name": "x"`, 400, bad, field("keypair", "{'name': 'x'}", "'public_key' is a required property")),
		post("type before its time", "2.1", `"name": "x", "type": "ssh", `+key, 400, bad, "Invalid input for field/attribute keypair. Value: {…"),
		post("for another user", "2.10", `"name": "x", "user_id": "`+w.OtherUser+`", `+key, 403, forbidden, policy("os_compute_api:os-keypairs:create")),
		{Name: "keypair: unknown", Path: "/os-keypairs/nosuch", Status: 404, Fault: missing, Message: "Keypair nosuch not found for user…"},
		{Name: "keypair: delete an unknown one", Method: "DELETE", Path: "/os-keypairs/nosuch", Status: 404, Fault: missing, Message: "Keypair nosuch not found for user…"},
		{Name: "keypair: list another user's", Version: "2.10", Path: "/os-keypairs?user_id=" + w.OtherUser, Status: 403, Fault: forbidden,
			Message: policy("os_compute_api:os-keypairs:index")},
		{Name: "keypair: unknown marker", Version: "2.35", Path: "/os-keypairs?marker=nosuch", Status: 400, Fault: bad, Message: "Marker nosuch could not be found."},
	}
}

// hosts are wrong requests about hypervisors.
func hosts(w World) []BadRequest {
	get := func(name string, as Caller, version, path string, status int, fault, message string) BadRequest {
		return BadRequest{Name: "hypervisor: " + name, As: as, Version: version, Path: "/os-hypervisors" + path, Status: status, Fault: fault, Message: message}
	}
	gone := func(id string) string { return fmt.Sprintf("Hypervisor with ID '%s' could not be found.", id) }
	never := "The resource could not be found."
	return []BadRequest{
		get("user lists", Member, "", "", 403, forbidden, policy("os_compute_api:os-hypervisors:list")),
		get("id is a word", Admin, "2.52", "/word", 404, missing, gone("word")),
		get("unknown number", Admin, "2.52", "/99999", 404, missing, gone("99999")),
		get("id is no UUID", Admin, "2.53", "/1", 400, bad, "Invalid uuid 1"),
		get("unknown UUID", Admin, "2.53", "/"+nowhere, 404, missing, gone(nowhere)),
		get("no name matches", Admin, "2.53", "?hypervisor_hostname_pattern=nosuch", 404, missing, "No hypervisor matching 'nosuch' could be found."),
		get("search without match", Admin, "2.52", "/nosuch/search", 404, missing, "No hypervisor matching 'nosuch' could be found."),
		get("pattern in pages", Admin, "2.53", "?hypervisor_hostname_pattern=h&limit=1", 400, bad,
			"Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported."),
		get("with_servers is maybe", Admin, "2.53", "?with_servers=maybe", 400, bad, "Invalid input for query parameters with_servers. Value: maybe. 'maybe' is not one of…"),
		get("unknown marker", Admin, "2.53", "?marker="+nowhere, 400, bad, "marker ["+nowhere+"] not found"),
		get("search after its time", Admin, "2.53", "/h/search", 404, missing, never),
		get("statistics after their time", Admin, "2.88", "/statistics", 404, missing, never),
		get("uptime that nobody reports", Admin, "2.53", "/"+w.Host+"/uptime", 501, "notImplemented", "The requested functionality is not supported."),
	}
}

// services are wrong requests about services.
func services(w World) []BadRequest {
	put := func(name string, as Caller, version, id, body string, status int, fault, message string) BadRequest {
		return BadRequest{Name: "service: " + name, As: as, Version: version, Method: "PUT", Path: "/os-services/" + id, Body: body, Status: status, Fault: fault,
			Message: message}
	}
	remove := func(name string, as Caller, version, id string, status int, fault, message string) BadRequest {
		return BadRequest{Name: "service: " + name, As: as, Version: version, Method: "DELETE", Path: "/os-services/" + id, Status: status, Fault: fault, Message: message}
	}
	compute := `{"host": "` + w.Name + `", "binary": "nova-compute"}`
	return []BadRequest{
		{Name: "service: user lists", Path: "/os-services", Status: 403, Fault: forbidden, Message: policy("os_compute_api:os-services:list")},
		put("user disables", Member, "", "disable", compute, 403, forbidden, policy("os_compute_api:os-services:update")),
		put("unknown verb", Admin, "", "restart", compute, 404, missing, "Unknown action"),
		put("force-down before its time", Admin, "2.10", "force-down", compute, 404, missing, "Unknown action"),
		put("force-down of nothing", Admin, "2.11", "force-down", compute, 400, bad, "Missing forced_down field"),
		put("no reason", Admin, "", "disable-log-reason", compute, 400, bad, "Missing disabled reason field"),
		put("no host", Admin, "", "disable", `{"binary": "nova-compute"}`, 400, bad, "'host' is a required property"),
		put("another binary", Admin, "", "disable", `{"host": "`+w.Name+`", "binary": "nova-scheduler"}`, 400, bad,
			"Updating a nova-scheduler service is not supported. Only nova-compute services can be updated."),
		put("unknown host", Admin, "", "disable", `{"host": "nosuch", "binary": "nova-compute"}`, 404, missing, "Host 'nosuch' is not mapped to any cell"),
		put("id is no UUID", Admin, "2.53", "disable", `{"status": "disabled"}`, 400, bad, "Invalid uuid disable"),
		put("unknown UUID", Admin, "2.53", nowhere, `{"status": "disabled"}`, 404, missing, "Service "+nowhere+" could not be found."),
		put("no change", Admin, "2.53", w.Host, `{}`, 400, bad, "No updates were requested. Fields 'status' or 'forced_down' should be specified."),
		put("enable with a reason", Admin, "2.53", w.Host, `{"status": "enabled", "disabled_reason": "r"}`, 400, bad,
			"Specifying 'disabled_reason' with status 'enabled' is invalid."),
		put("unknown status", Admin, "2.53", w.Host, `{"status": "tired"}`, 400, bad, field("status", "tired", "'tired' is not one of ['enabled', 'disabled']")),
		remove("user deletes", Member, "2.53", w.Host, 403, forbidden, policy("os_compute_api:os-services:delete")),
		remove("delete by UUID before its time", Admin, "2.52", w.Host, 400, bad, "Invalid input received: id must be an integer"),
		remove("delete by number after its time", Admin, "2.53", "1", 400, bad, "Invalid uuid 1"),
		remove("delete an unknown number", Admin, "", "999999", 404, missing, "Service 999999 not found."),
		remove("delete an unknown UUID", Admin, "2.53", nowhere, 404, missing, "Service "+nowhere+" not found."),
		remove("delete with instances", Admin, "2.53", w.Host, 409, "conflictingRequest",
			"Unable to delete compute service that is hosting instances. Migrate or delete the instances first."),
	}
}

// rest are wrong requests about zones, limits and actions.
func rest(w World) []BadRequest {
	return []BadRequest{
		{Name: "zones: user asks for detail", Path: "/os-availability-zone/detail", Status: 403, Fault: forbidden,
			Message: policy("os_compute_api:os-availability-zone:detail")},
		{Name: "zones: unknown query at 2.102", Version: "2.102", Path: "/os-availability-zone?foo=1", Status: 400, Fault: bad,
			Message: "Additional properties are not allowed ('foo' was unexpected)"},
		{Name: "limits: of another project", Path: "/limits?tenant_id=" + w.OtherProject, Status: 403, Fault: forbidden,
			Message: policy("os_compute_api:limits:other_project")},
		{Name: "limits: unknown query at 2.75", Version: "2.75", Path: "/limits?foo=1", Status: 400, Fault: bad,
			Message: "Additional properties are not allowed ('foo' was unexpected)"},
		{Name: "actions: of another project's instance", Path: "/servers/" + w.Others + "/os-instance-actions", Status: 404, Fault: missing, Message: "Instance " +
			w.Others + " could not be found."},
		{Name: "actions: unknown", Path: "/servers/" + w.Active + "/os-instance-actions/req-nosuch", Status: 404, Fault: missing, Message: "Action req-nosuch not found"},
		{Name: "actions: unknown marker", Version: "2.58", Path: "/servers/" + w.Active + "/os-instance-actions?marker=req-nosuch", Status: 400, Fault: bad,
			Message: "Marker req-nosuch could not be found."},
		{Name: "actions: changes-before before its time", Version: "2.65", Path: "/servers/" + w.Active + "/os-instance-actions?changes-before=2026-01-01T00:00:00Z",
			Status: 400, Fault: bad,
			Message: "Additional properties are not allowed ('changes-before' was unexpected)"},
		{Name: "actions: since after before", Version: "2.66", Path: "/servers/" + w.Active + "/os-instance-actions?changes-since=2026-02-01&changes-before=2026-01-01",
			Status: 400, Fault: bad,
			Message: "The value of changes-since must be less than or equal to changes-before."},
	}
}
