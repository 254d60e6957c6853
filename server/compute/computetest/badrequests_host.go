package computetest

// aggregates are wrong requests about host aggregates. The world has none.
func aggregates(w World) []BadRequest {
	ask := func(name string, as Caller, version, method, path, body string, status int, fault, message string) BadRequest {
		return BadRequest{Name: "aggregate: " + name, As: as, Version: version, Method: method, Path: "/os-aggregates" + path, Body: body, Status: status, Fault: fault, Message: message}
	}
	unknown := "Aggregate 999999 could not be found."
	noNumber := "Invalid input received: id must be an integer"
	printable := "An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace."
	rule := func(verb string) string { return policy("os_compute_api:os-aggregates:" + verb) }
	cache := `{"cache": [{"id": "` + w.Image + `"}]}`
	return []BadRequest{
		ask("user lists", Member, "", "GET", "", "", 403, forbidden, rule("index")),
		ask("user shows", Member, "", "GET", "/1", "", 403, forbidden, rule("show")),
		ask("user makes", Member, "", "POST", "", `{"aggregate": {"name": "a"}}`, 403, forbidden, rule("create")),
		ask("unknown", Admin, "", "GET", "/999999", "", 404, missing, unknown),
		ask("id is no number", Admin, "", "GET", "/one", "", 400, bad, noNumber),
		ask("no name", Admin, "", "POST", "", `{"aggregate": {"availability_zone": "z"}}`, 400, bad,
			field("aggregate", "{'availability_zone': 'z'}", "'name' is a required property")),
		ask("name with a space at its end", Admin, "", "POST", "", `{"aggregate": {"name": "a "}}`, 400, bad, printable),
		ask("zone with a colon", Admin, "", "POST", "", `{"aggregate": {"name": "a", "availability_zone": "z:h"}}`, 400, bad, "Invalid input for field/attribute availability_zone. Value: z:h…"),
		ask("hosts at creation", Admin, "", "POST", "", `{"aggregate": {"name": "a", "hosts": []}}`, 400, bad,
			field("aggregate", "{'name': 'a', 'hosts': []}", "Additional properties are not allowed ('hosts' was unexpected)")),
		ask("update of an unknown one", Admin, "", "PUT", "/999999", `{"aggregate": {"name": "a"}}`, 404, missing, unknown),
		ask("update of nothing", Admin, "", "PUT", "/999999", `{"aggregate": {}}`, 400, bad, field("aggregate", "{}", "{} is not valid under any of the given schemas")),
		ask("delete of an unknown one", Admin, "", "DELETE", "/999999", "", 404, missing, unknown),
		ask("user deletes", Member, "", "DELETE", "/999999", "", 403, forbidden, rule("delete")),
		ask("unknown host", Admin, "", "POST", "/999999/action", `{"add_host": {"host": "nosuch"}}`, 404, missing, "Compute host nosuch could not be found."),
		ask("host into an unknown one", Admin, "", "POST", "/999999/action", `{"add_host": {"host": "`+w.Name+`"}}`, 404, missing, unknown),
		ask("user adds a host", Member, "", "POST", "/999999/action", `{"add_host": {"host": "`+w.Name+`"}}`, 403, forbidden, rule("add_host")),
		ask("host out of an unknown one", Admin, "", "POST", "/999999/action", `{"remove_host": {"host": "`+w.Name+`"}}`, 404, missing, "Cannot remove host "+w.Name+" in aggregate 999999"),
		ask("no host", Admin, "", "POST", "/1/action", `{"remove_host": {}}`, 400, bad, field("remove_host", "{}", "'host' is a required property")),
		ask("metadata of an unknown one", Admin, "", "POST", "/999999/action", `{"set_metadata": {"metadata": {"a": "b"}}}`, 404, missing, unknown),
		ask("metadata is a number", Admin, "", "POST", "/1/action", `{"set_metadata": {"metadata": {"a": 1}}}`, 400, bad, field("a", "1", "1 is not of type 'string', 'null'")),
		ask("images before their time", Admin, "2.80", "POST", "/1/images", cache, 404, missing, "…"),
		ask("images of an unknown one", Admin, "2.81", "POST", "/999999/images", cache, 404, missing, unknown),
		ask("images by a user", Member, "2.81", "POST", "/1/images", cache, 403, forbidden, policy("compute:aggregates:images")),
		ask("an image twice", Admin, "2.81", "POST", "/1/images", `{"cache": [{"id": "`+w.Image+`"}, {"id": "`+w.Image+`"}]}`, 400, bad, "Duplicate images in request"),
	}
}

// namedHosts are wrong requests about hosts by their names.
func namedHosts(w World) []BadRequest {
	ask := func(name string, as Caller, version, method, path, body string, status int, fault, message string) BadRequest {
		return BadRequest{Name: "host by name: " + name, As: as, Version: version, Method: method, Path: "/os-hosts" + path, Body: body, Status: status, Fault: fault, Message: message}
	}
	unknown := "Host 'nosuch' is not mapped to any cell"
	rule := func(verb string) string { return policy("os_compute_api:os-hosts:" + verb) }
	return []BadRequest{
		ask("user lists", Member, "", "GET", "", "", 403, forbidden, rule("list")),
		ask("user reboots", Member, "", "GET", "/"+w.Name+"/reboot", "", 403, forbidden, rule("reboot")),
		ask("user starts", Member, "", "GET", "/"+w.Name+"/startup", "", 403, forbidden, rule("start")),
		ask("list after its time", Admin, "2.43", "GET", "", "", 404, missing, "…"),
		ask("unknown", Admin, "", "GET", "/nosuch", "", 404, missing, unknown),
		ask("reboot of an unknown one", Admin, "", "GET", "/nosuch/reboot", "", 404, missing, unknown),
		ask("disabling of an unknown one", Admin, "", "PUT", "/nosuch", `{"status": "disable"}`, 404, missing, unknown),
		ask("no change", Admin, "", "PUT", "/"+w.Name, `{}`, 400, bad, "{} is not valid under any of the given schemas"),
		ask("unknown status", Admin, "", "PUT", "/"+w.Name, `{"status": "tired"}`, 400, bad,
			field("status", "tired", "'tired' is not one of ['enable', 'disable', 'Enable', 'Disable', 'ENABLE', 'DISABLE']")),
	}
}
