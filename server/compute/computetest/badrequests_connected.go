package computetest

// connections are wrong requests about what instances are connected with. They are the same in a cloud with network, volume and share services.
func connections(w World) []BadRequest {
	ask := func(name string, as Caller, version, method, path, body string, status int, fault, message string) BadRequest {
		return BadRequest{Name: "connection: " + name, As: as, Version: version, Method: method, Path: path, Body: body, Status: status, Fault: fault, Message: message}
	}
	own, others := "/servers/"+w.Active, "/servers/"+w.Others
	gone := "Instance " + w.Others + " could not be found."
	rule := func(name string) string { return policy("os_compute_api:" + name) }
	attach := `{"volumeAttachment": {"volumeId": "` + nowhere + `"}}`
	return []BadRequest{
		ask("addresses of another project's", Member, "", "GET", others+"/ips", "", 404, missing, gone),
		ask("addresses of an unknown network", Member, "", "GET", own+"/ips/nosuch", "", 404, missing, "Instance is not a member of specified network"),
		ask("unknown interface", Member, "", "GET", own+"/os-interface/"+nowhere, "", 404, missing, "Port id "+nowhere+" could not be found."),
		ask("reader attaches an interface", Reader, "", "POST", own+"/os-interface", `{}`, 403, forbidden, rule("os-attach-interfaces:create")),
		ask("interface of a port and a network", Member, "", "POST", own+"/os-interface", `{"interfaceAttachment": {"port_id": "`+nowhere+`", "net_id": "`+nowhere+`"}}`, 400, bad,
			"Must not input both network_id and port_id"),
		ask("address without a network", Member, "", "POST", own+"/os-interface", `{"interfaceAttachment": {"fixed_ips": [{"ip_address": "10.0.0.1"}]}}`, 400, bad,
			"Must input network_id when request IP address"),
		ask("interface's tag before its time", Member, "2.48", "POST", own+"/os-interface", `{"interfaceAttachment": {"tag": "x"}}`, 400, bad, "Invalid input for field/attribute…"),
		ask("fixed address after its time", Member, "2.44", "POST", own+"/action", `{"addFixedIp": {"networkId": "x"}}`, 404, missing, "The resource could not be found."),
		ask("group without a name", Member, "", "POST", own+"/action", `{"addSecurityGroup": {"name": " "}}`, 400, bad, "Security group name cannot be empty"),
		ask("volumes of another project's", Member, "", "GET", others+"/os-volume_attachments", "", 404, missing, gone),
		ask("unknown attachment", Member, "", "GET", own+"/os-volume_attachments/"+nowhere, "", 404, missing, "Instance "+w.Active+" is not attached to volume "+nowhere),
		ask("unknown volume", Member, "", "POST", own+"/os-volume_attachments", attach, 404, missing, "Volume "+nowhere+" could not be found."),
		ask("user swaps a volume", Member, "", "PUT", own+"/os-volume_attachments/"+nowhere, attach, 403, forbidden, rule("os-volumes-attachments:swap")),
		ask("unknown attachment changed", Member, "2.85", "PUT", own+"/os-volume_attachments/"+nowhere, attach, 404, missing, "No volume Block Device Mapping with id "+nowhere+"."),
		ask("share of one that runs", Member, "2.97", "POST", own+"/shares", `{"share": {"share_id": "`+nowhere+`"}}`, 409, conflict,
			"Cannot 'create share' instance "+w.Active+" while it is in vm_state active"),
		ask("shares before their time", Member, "2.96", "GET", own+"/shares", "", 404, missing, "The resource could not be found."),
		ask("unknown share", Member, "2.97", "GET", own+"/shares/"+nowhere, "", 404, missing, "Share "+nowhere+" could not be found."),
		ask("user makes an assisted snapshot", Member, "", "DELETE", "/os-assisted-volume-snapshots/x", "", 403, forbidden, rule("os-assisted-volume-snapshots:delete")),
		ask("assisted snapshot of nothing", Admin, "", "DELETE", "/os-assisted-volume-snapshots/x", "", 400, bad, "'delete_info'"),
		ask("user measures a guest", Member, "", "GET", own+"/diagnostics", "", 403, forbidden, rule("os-server-diagnostics")),
		ask("topology before its time", Member, "2.77", "GET", own+"/topology", "", 404, missing, "The resource could not be found."),
		ask("reader clears a password", Reader, "", "DELETE", own+"/os-server-password", "", 403, forbidden, rule("os-server-password:clear")),
		ask("unknown console token", Admin, "2.31", "GET", "/os-console-auth-tokens/"+nowhere, "", 404, missing, "Token not found"),
		ask("user tells of an event", Member, "", "POST", "/os-server-external-events", `{"events": [{"server_uuid": "`+w.Active+`", "name": "network-changed"}]}`, 403, forbidden,
			rule("os-server-external-events:create")),
		ask("event before its time", Admin, "2.75", "POST", "/os-server-external-events", `{"events": [{"server_uuid": "`+w.Active+`", "name": "power-update", "tag": "POWER_OFF"}]}`,
			400, bad, "Invalid input for field/attribute…"),
	}
}
