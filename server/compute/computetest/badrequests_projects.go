package computetest

// projects are wrong requests about what belongs to a project: metadata and tags of servers, quotas, server groups, usage.
func projects(w World) []BadRequest {
	server := func(name, method, path, body string, status int, fault, message string) BadRequest {
		return BadRequest{Name: "server: " + name, Version: "2.26", Method: method, Path: "/servers/" + path, Body: body, Status: status, Fault: fault, Message: message}
	}
	quota := func(name string, as Caller, method, path, body string, status int, fault, message string) BadRequest {
		return BadRequest{Name: "quota: " + name, As: as, Version: "2.57", Method: method, Path: "/os-quota-sets/" + path, Body: body, Status: status, Fault: fault,
			Message: message}
	}
	group := func(name, version, body string, status int, fault, message string) BadRequest {
		return BadRequest{Name: "server group: " + name, Version: version, Method: "POST", Path: "/os-server-groups", Body: `{"server_group": {` + body + `}}`, Status: status,
			Fault: fault, Message: message}
	}
	hidden := "Instance " + w.Others + " could not be found."
	return []BadRequest{
		server("metadata of another's", "GET", w.Others+"/metadata", "", 404, missing, hidden),
		server("set metadata of another's", "POST", w.Others+"/metadata", `{"metadata": {}}`, 404, missing, hidden),
		server("metadata that is no object", "PUT", w.Active+"/metadata", `{"metadata": []}`, 400, bad, field("metadata", "[]", "[] is not of type 'object'")),
		server("metadata with a number", "POST", w.Active+"/metadata", `{"metadata": {"a": 1}}`, 400, bad, field("a", "1", "1 is not of type 'string'")),
		server("metadata under another key", "PUT", w.Active+"/metadata/a", `{"meta": {"b": "1"}}`, 400, bad, "Request body and URI mismatch"),
		server("metadata that is not there", "GET", w.Active+"/metadata/nosuch", "", 404, missing, "Metadata item was not found"),
		server("delete metadata that is not there", "DELETE", w.Active+"/metadata/nosuch", "", 404, missing, "Metadata item was not found"),
		server("tags of another's", "DELETE", w.Others+"/tags", "", 404, missing, hidden),
		server("tag with a comma", "PUT", w.Active+"/tags/a,b", "", 400, bad, "Tag 'a,b' is invalid. It must be a non empty string…"),
		server("tag that is not there", "DELETE", w.Active+"/tags/nosuch", "", 404, missing, "Server "+w.Active+" has no tag 'nosuch'"),
		{Name: "server: tags before their time", Version: "2.25", Path: "/servers/" + w.Active + "/tags", Status: 404, Fault: missing,
			Message: "The resource could not be found."},

		quota("of another project", Member, "GET", w.OtherProject, "", 403, forbidden, policy("os_compute_api:os-quota-sets:show")),
		quota("of no project", Admin, "GET", nowhere, "", 400, bad, "Project ID "+nowhere+" is not a valid project."),
		quota("user sets", Member, "PUT", w.MemberProject, `{"quota_set": {"cores": 1}}`, 403, forbidden, policy("os_compute_api:os-quota-sets:update")),
		quota("user deletes", Member, "DELETE", w.MemberProject, "", 403, forbidden, policy("os_compute_api:os-quota-sets:delete")),
		quota("less than no limit", Admin, "PUT", w.MemberProject, `{"quota_set": {"cores": -2}}`, 400, bad, field("cores", "-2", "-2 is less than the minimum of -1")),
		quota("too large", Admin, "PUT", w.MemberProject, `{"quota_set": {"cores": 2147483648}}`, 400, bad,
			field("cores", "2147483648", "2147483648 is greater than the maximum of 2147483647")),
		{Name: "quota: user asks for a class", Path: "/os-quota-class-sets/default", Status: 403, Fault: forbidden, Message: policy("os_compute_api:os-quota-class-sets:show")},

		group("no policy", "2.1", `"name": "x"`, 400, bad, field("server_group", "{'name': 'x'}", "'policies' is a required property")),
		group("soft policy before its time", "2.14", `"name": "x", "policies": ["soft-affinity"]`, 400, bad,
			field("0", "soft-affinity", "'soft-affinity' is not one of ['affinity', 'anti-affinity']")),
		group("two policies", "2.15", `"name": "x", "policies": ["affinity", "anti-affinity"]`, 400, bad, "Invalid input for field/attribute policies. Value:…"),
		group("rule for affinity", "2.64", `"name": "x", "policy": "affinity", "rules": {"max_server_per_host": 2}`, 400, bad, "Only anti-affinity policy supports rules."),
		{Name: "server group: unknown", Path: "/os-server-groups/" + nowhere, Status: 404, Fault: missing, Message: "Instance group " + nowhere + " could not be found."},
		{Name: "server group: delete an unknown one", Method: "DELETE", Path: "/os-server-groups/" + nowhere, Status: 404, Fault: missing,
			Message: "Instance group " + nowhere + " could not be found."},

		{Name: "usage: user lists", Path: "/os-simple-tenant-usage", Status: 403, Fault: forbidden, Message: policy("os_compute_api:os-simple-tenant-usage:list")},
		{Name: "usage: of another project", Path: "/os-simple-tenant-usage/" + w.OtherProject, Status: 403, Fault: forbidden,
			Message: policy("os_compute_api:os-simple-tenant-usage:show")},
		{Name: "usage: from when", As: Admin, Path: "/os-simple-tenant-usage?start=yesterday", Status: 400, Fault: bad,
			Message: "Invalid datetime string: Datetime is in invalid format"},
		{Name: "usage audit: before when", As: Admin, Path: "/os-instance_usage_audit_log/yesterday", Status: 400, Fault: bad,
			Message: "Invalid timestamp for date yesterday"},
	}
}
