package computetest

// flavorParts are wrong requests about extra specs of flavors and who may use them.
func flavorParts(w World) []BadRequest {
	ask := func(name string, as Caller, version, method, path, body string, status int, fault, message string) BadRequest {
		return BadRequest{Name: "flavor: " + name, As: as, Version: version, Method: method, Path: "/flavors/" + path, Body: body, Status: status, Fault: fault, Message: message}
	}
	specs, access := w.Flavor+"/os-extra_specs", w.Flavor+"/action"
	rule := func(name string) string { return policy("os_compute_api:os-flavor-" + name) }
	add := `{"addTenantAccess": {"tenant": "` + w.OtherProject + `"}}`
	return []BadRequest{
		ask("user writes an extra spec", Member, "", "POST", specs, `{"extra_specs": {"a": "b"}}`, 403, forbidden, rule("extra-specs:create")),
		ask("user changes an extra spec", Member, "", "PUT", specs+"/a", `{"a": "b"}`, 403, forbidden, rule("extra-specs:update")),
		ask("user removes an extra spec", Member, "", "DELETE", specs+"/a", "", 403, forbidden, rule("extra-specs:delete")),
		ask("no extra specs", Admin, "", "POST", specs, `{}`, 400, bad, "'extra_specs' is a required property"),
		ask("extra spec that is a list", Admin, "", "POST", specs, `{"extra_specs": {"a": []}}`, 400, bad, field("a", "[]", "[] is not of type 'string', 'number'")),
		ask("extra spec of another name", Admin, "", "PUT", specs+"/a", `{"b": "c"}`, 400, bad, "Request body and URI mismatch"),
		ask("wrong value of an extra spec", Admin, "2.86", "POST", specs, `{"extra_specs": {"hw:numa_nodes": "0"}}`, 400, bad,
			"Validation failed; '0' is less than the min value of '1'."),
		ask("wrong name of an extra spec", Admin, "2.86", "PUT", specs+"/hw:nosuch", `{"hw:nosuch": "1"}`, 400, bad,
			"Validation failed; extra spec 'hw:nosuch' does not appear to be a valid extra spec."),
		ask("extra spec of an unknown one", Admin, "", "POST", "nosuch/os-extra_specs", `{"extra_specs": {"a": "b"}}`, 404, missing, "Flavor nosuch could not be found."),
		ask("remove an unknown extra spec", Admin, "", "DELETE", specs+"/nosuch", "", 404, missing, "Flavor "+w.Flavor+" has no extra specs with key nosuch."),
		ask("user lists access", Member, "", "GET", w.Private+"/os-flavor-access", "", 403, forbidden, rule("access")),
		ask("access list of a public one", Admin, "", "GET", w.Flavor+"/os-flavor-access", "", 404, missing, "Access list not available for public flavors."),
		ask("user gives access", Member, "", "POST", access, add, 403, forbidden, rule("access:add_tenant_access")),
		ask("access for nobody", Admin, "", "POST", access, `{"addTenantAccess": {}}`, 400, bad, field("addTenantAccess", "{}", "'tenant' is a required property")),
		ask("access for an unknown project", Admin, "", "POST", access, `{"addTenantAccess": {"tenant": "nosuch"}}`, 400, bad, "Project ID nosuch is not a valid project."),
		ask("take what was not given", Admin, "", "POST", w.Private+"/action", `{"removeTenantAccess": {"tenant": "nosuch"}}`, 404, missing,
			"Flavor access not found for "+w.Private+" / nosuch combination."),
	}
}

// proxies are wrong requests to the routes that other services answer.
func proxies(w World) []BadRequest {
	ask := func(name string, as Caller, version, method, path, body string, status int, fault, message string) BadRequest {
		return BadRequest{Name: "proxy: " + name, As: as, Version: version, Method: method, Path: path, Body: body, Status: status, Fault: fault, Message: message}
	}
	never := "The resource could not be found."
	return []BadRequest{
		ask("unknown image", Member, "", "GET", "/images/"+nowhere, "", 404, missing, "Image not found."),
		ask("images after their time", Member, "2.36", "GET", "/images", "", 404, missing, never),
		ask("no images at all", Member, "", "GET", "/images?limit=0", "", 400, bad, "Invalid input for query parameters limit. Value: 0. …"),
		ask("another's image deleted", Member, "", "DELETE", "/images/"+w.Image, "", 403, forbidden, "You are not allowed to delete the image."),
		ask("another's image described", Member, "", "POST", "/images/"+w.Image+"/metadata", `{"metadata": {"a": "b"}}`, 403, forbidden, "Not authorized for image "+w.Image+"."),
		ask("metadata of another name", Member, "", "PUT", "/images/"+w.Image+"/metadata/a", `{"meta": {"b": "c"}}`, 400, bad, "Request body and URI mismatch"),
		ask("metadata after its time", Member, "2.39", "GET", "/images/"+w.Image+"/metadata", "", 404, missing, never),
		ask("unknown extension", Member, "", "GET", "/extensions/nosuch", "", 404, missing, never),
		ask("reader makes a volume", Reader, "", "POST", "/os-volumes", `{"volume": {"size": 1}}`, 403, forbidden, policy("os_compute_api:os-volumes:create")),
		ask("volume without a size", Member, "", "POST", "/os-volumes", `{"volume": {}}`, 400, bad, field("volume", "{}", "'size' is a required property")),
		ask("user lists bare metal", Member, "", "GET", "/os-baremetal-nodes", "", 403, forbidden, policy("os_compute_api:os-baremetal-nodes:list")),
		ask("what is gone", Member, "2.104", "GET", "/os-cells", "", 410, "computeFault", "This resource is no longer available. No forwarding address is given."),
		ask("the old name of servers after its time", Member, "2.103", "GET", "/os-volumes_boot", "", 404, missing, never),
	}
}
