// Package computetest has requests that a compute API must refuse, as data: for the service's own tests, and for tests against a running agent.
package computetest

import (
	"fmt"
	"strings"
)

// World is what has to exist where the table is run. Ids are those of the API; tokens are values of X-Auth-Token.
type World struct {
	Member, Other, Reader, Admin, Unscoped string // tokens: Member and Reader are of one project, Other of another
	MemberProject                          string
	OtherProject                           string
	OtherUser                              string // the id of Other's user, who is not Member's

	Active string // Member's instance: ACTIVE
	Others string // Other's instance: ACTIVE

	Image     string // public, active, fits Flavor
	Queued    string // public, queued
	TooBig    string // public, active, its file is larger than Flavor's disk
	MinMemory string // public, active, wants more memory than Flavor has
	MinDisk   string // public, active, wants a larger disk than Flavor has

	Flavor   string // public; 1 vCPU, 512 MiB, 1 GiB
	Private  string // not public
	ZeroDisk string // public, root disk 0

	Keypair string // Member's
	Host    string // UUID of a host that is up and whose client reports no uptime
	Name    string // of that host
}

// Caller says as whom a request is made.
type Caller uint8

// Callers.
const (
	Member Caller = iota
	Other
	Reader
	Admin
	Unscoped
	Stranger // with a token that is none
	Nobody   // without a token
)

// BadRequest is a request that must be refused and change nothing.
type BadRequest struct {
	Name    string
	As      Caller
	Version string // "2.53"; "" sends no version
	Method  string // "" is GET
	Path    string // below …/compute/v2.1
	Body    string
	Type    string // Content-Type when it is not application/json

	Status  int
	Fault   string // the key of the fault's body; "" for an answer that is no fault
	Message string // the fault's message; with … at its end, its beginning
}

// Token returns the token of a caller, "" for none.
func (w World) Token(c Caller) string {
	return [...]string{w.Member, w.Other, w.Reader, w.Admin, w.Unscoped, "no-such-token", ""}[c]
}

// Matches reports whether a fault's message is the one expected.
func (b BadRequest) Matches(message string) bool {
	if begin, ok := strings.CutSuffix(b.Message, "…"); ok {
		return strings.HasPrefix(message, begin)
	}
	return message == b.Message
}

const (
	bad       = "badRequest"
	forbidden = "forbidden"
	missing   = "itemNotFound"
	conflict  = "conflictingRequest"
)

// nowhere is an id that nothing has.
const nowhere = "deadbeef-dead-4eef-8ead-deadbeefdead"

// BadRequests returns the table for a world.
func BadRequests(w World) []BadRequest {
	var all []BadRequest
	for _, part := range [][]BadRequest{protocol(w), creation(w), creationParts(w), creationPlaces(w), instances(w), lists(w), flavors(w), keypairs(w), hosts(w),
		services(w), aggregates(w), namedHosts(w), rest(w), projects(w), flavorParts(w), proxies(w), connections(w)} {
		all = append(all, part...)
	}
	return all
}

// field words Nova's refusal of a value.
func field(name, value, why string) string {
	return fmt.Sprintf("Invalid input for field/attribute %s. Value: %s. %s", name, value, why)
}

func query(name, value, why string) string {
	return fmt.Sprintf("Invalid input for query parameters %s. Value: %s. %s", name, value, why)
}

func policy(rule string) string { return "Policy doesn't allow " + rule + " to be performed." }

// protocol are requests that are refused before anybody looks at what they ask for.
func protocol(w World) []BadRequest {
	unauthenticated := "The request you have made requires authentication."
	return []BadRequest{
		{Name: "no token", As: Nobody, Path: "/servers", Status: 401, Fault: "error", Message: unauthenticated},
		{Name: "bad token", As: Stranger, Path: "/servers", Status: 401, Fault: "error", Message: unauthenticated},
		{Name: "bad token on an unknown path", As: Stranger, Path: "/nosuch", Status: 401, Fault: "error", Message: unauthenticated},
		{Name: "unscoped token", As: Unscoped, Path: "/servers", Status: 403, Fault: forbidden, Message: policy("os_compute_api:servers:index")},
		{Name: "microversion too high", Version: "2.999", Path: "/servers", Status: 406, Fault: "computeFault",
			Message: "Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.104."},
		{Name: "microversion too low", Version: "2.0", Path: "/servers", Status: 406, Fault: "computeFault",
			Message: "Version 2.0 is not supported by the API. Minimum is 2.1 and maximum is 2.104."},
		{Name: "microversion is no number", Version: "abc", Path: "/servers", Status: 400, Fault: bad, Message: "API Version String abc is of invalid format…"},
		{Name: "unknown path", Path: "/nosuch", Status: 404},
		{Name: "unknown method", Method: "PATCH", Path: "/servers", Body: "{}", Status: 404},
		{Name: "foreign project in the URL", Path: "/" + w.OtherProject + "/servers", Status: 400, Fault: bad,
			Message: "Malformed request URL: URL's project_id '" + w.OtherProject + "' doesn't match Context's project_id '" + w.MemberProject + "'"},
		{Name: "wrong content type", Method: "POST", Path: "/servers", Body: "<server/>", Type: "application/xml", Status: 415, Fault: "badMediaType",
			Message: "Unsupported Content-Type"},
		{Name: "huge body", Method: "POST", Path: "/servers", Body: `{"server": "` + strings.Repeat("x", 120000) + `"}`, Status: 413, Fault: "overLimit",
			Message: "Request is too large."},
		{Name: "body is no JSON", Method: "POST", Path: "/servers", Body: `{"server": `, Status: 400, Fault: bad, Message: "Malformed request body"},
		{Name: "body is two values", Method: "POST", Path: "/servers", Body: `{} {}`, Status: 400, Fault: bad, Message: "Malformed request body"},
		{Name: "body is a list", Method: "POST", Path: "/servers", Body: `[]`, Status: 400, Fault: bad, Message: "[] is not of type 'object'"},
		{Name: "empty body", Method: "POST", Path: "/servers", Status: 400, Fault: bad, Message: "None is not of type 'object'"},
		{Name: "empty object", Method: "POST", Path: "/servers", Body: `{}`, Status: 400, Fault: bad, Message: "'server' is a required property"},
		{Name: "reader creates", As: Reader, Method: "POST", Path: "/servers", Body: create(w, ""), Status: 403, Fault: forbidden,
			Message: policy("os_compute_api:servers:create")},
	}
}

// create is a body for POST /servers that is right but for what is added to it.
func create(w World, more string) string {
	if more != "" {
		more = ", " + more
	}
	return `{"server": {"name": "x", "imageRef": "` + w.Image + `", "flavorRef": "` + w.Flavor + `"` + more + `}}`
}

func post(name, version, body string, status int, fault, message string) BadRequest {
	return BadRequest{Name: name, Version: version, Method: "POST", Path: "/servers", Body: body, Status: status, Fault: fault, Message: message}
}

// creation are instances that are refused for their main parts.
func creation(w World) []BadRequest {
	with := func(image, flavor string) string {
		return `{"server": {"name": "x", "imageRef": "` + image + `", "flavorRef": "` + flavor + `"}}`
	}
	return []BadRequest{
		post("no name", "", `{"server": {"flavorRef": "`+w.Flavor+`"}}`, 400, bad, field("server", "{'flavorRef': '"+w.Flavor+"'}", "'name' is a required property")),
		post("no flavor", "", `{"server": {"name": "x"}}`, 400, bad, field("server", "{'name': 'x'}", "'flavorRef' is a required property")),
		post("unknown key", "", `{"server": {"name": "x", "flavorRef": "1", "foo": 1}}`, 400, bad,
			field("server", "{'name': 'x', 'flavorRef': '1', 'foo': 1}", "Additional properties are not allowed ('foo' was unexpected)")),
		post("unknown key outside", "", `{"server": {"name": "x", "flavorRef": "1"}, "foo": 1}`, 400, bad, "Additional properties are not allowed ('foo' was unexpected)"),
		post("name is a number", "", `{"server": {"name": 1, "flavorRef": "1"}}`, 400, bad, "…"),
		post("name has a newline", "", `{"server": {"name": "a\nb", "flavorRef": "1"}}`, 400, bad,
			"An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace."),
		post("name too long", "", `{"server": {"name": "`+strings.Repeat("n", 256)+`", "flavorRef": "1"}}`, 400, bad,
			field("name", strings.Repeat("n", 256), "'"+strings.Repeat("n", 256)+"' is too long")),
		post("flavorRef is a list", "", `{"server": {"name": "x", "flavorRef": []}}`, 400, bad, field("flavorRef", "[]", "[] is not of type 'string', 'integer'")),
		post("imageRef is no UUID", "", with("cirros", w.Flavor), 400, bad,
			"Invalid input for field/attribute imageRef. Value: cirros. 'cirros' is not valid under any of the given schemas"),
		post("unknown flavor", "", with(w.Image, "nosuch"), 400, bad, "Flavor nosuch could not be found."),
		post("private flavor", "", with(w.Image, w.Private), 400, bad, "Flavor "+w.Private+" could not be found."),
		post("unknown image", "", with(nowhere, w.Flavor), 400, bad, "Can not find requested image"),
		post("queued image", "", with(w.Queued, w.Flavor), 400, bad, "Image "+w.Queued+" is not active."),
		post("no image", "", `{"server": {"name": "x", "flavorRef": "`+w.Flavor+`"}}`, 400, bad, "Missing imageRef attribute"),
		post("image larger than the disk", "", with(w.TooBig, w.Flavor), 400, bad,
			"Flavor's disk is too small for requested image. Flavor disk is 1073741824 bytes, image is…"),
		post("image wants more memory", "", with(w.MinMemory, w.Flavor), 400, bad, "Flavor's memory is too small for requested image."),
		post("image wants a larger disk", "", with(w.MinDisk, w.Flavor), 400, bad,
			"Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is 1073741824 bytes, minimum size is…"),
		post("flavor without a disk", "", with(w.Image, w.ZeroDisk), 403, forbidden, "Only volume-backed servers are allowed for flavors with zero disk."),
		post("min_count 0", "", create(w, `"min_count": 0`), 400, bad, field("min_count", "0", "0 is less than the minimum of 1")),
		post("max_count below min_count", "", create(w, `"min_count": 3, "max_count": 2`), 400, bad, "min_count must be <= max_count"),
		post("min_count over all quotas", "", create(w, `"min_count": 9000`), 403, forbidden, "Quota exceeded for…"),
		post("max_count without end", "", create(w, `"max_count": 99999999999999999999`), 400, bad, "max_count must be <=…"),
	}
}

// creationParts are instances that are refused for what else they name.
func creationParts(w World) []BadRequest {
	var metadata []string
	for i := range 129 {
		metadata = append(metadata, fmt.Sprintf(`"k%d": "v"`, i))
	}
	tags := strings.TrimSuffix(strings.Repeat(`"t",`, 51), ",")
	group := `{"server": {"name": "x", "imageRef": "` + w.Image + `", "flavorRef": "` + w.Flavor + `"}, "os:scheduler_hints": `
	return []BadRequest{
		post("unknown keypair", "", create(w, `"key_name": "nosuch"`), 400, bad, "Invalid key_name provided."),
		post("security group", "", create(w, `"security_groups": [{"name": "web"}]`), 400, bad, "Security group web not found."),
		post("user_data is no base64", "", create(w, `"user_data": "%%%"`), 400, bad, field("user_data", "%%%", "'%%%' is not a 'base64'")),
		post("user_data too long", "", create(w, `"user_data": "`+strings.Repeat("A", 65536)+`"`), 400, bad, "Invalid input for field/attribute user_data. Value: AAAA…"),
		post("too much metadata", "", create(w, `"metadata": {`+strings.Join(metadata, ",")+`}`), 403, forbidden, "Maximum number of metadata items exceeds 128"),
		post("metadata value is a number", "", create(w, `"metadata": {"a": 1}`), 400, bad, field("a", "1", "1 is not of type 'string'")),
		post("metadata key has a slash", "", create(w, `"metadata": {"a/b": "c"}`), 400, bad,
			"Invalid input for field/attribute metadata. Value: {'a/b': 'c'}. 'a/b' does not match any of the regexes…"),
		post("tags before their time", "2.51", create(w, `"networks": "none", "tags": ["a"]`), 400, bad, "Invalid input for field/attribute server. Value: {…"),
		post("too many tags", "2.52", create(w, `"networks": "none", "tags": [`+tags+`]`), 400, bad, "Invalid input for field/attribute tags. Value: ['t'…"),
		post("tag with a slash", "2.52", create(w, `"networks": "none", "tags": ["a/b"]`), 400, bad, field("0", "a/b", "'a/b' does not match '^[^,/]*$'")),
		post("description before its time", "2.18", create(w, `"description": "d"`), 400, bad, "Invalid input for field/attribute server. Value: {…"),
		post("description too long", "2.19", create(w, `"description": "`+strings.Repeat("d", 256)+`"`), 400, bad,
			"Invalid input for field/attribute description. Value: ddd…"),
		post("same certificate twice", "2.63", create(w, `"networks": "none", "trusted_image_certificates": ["a", "a"]`), 400, bad,
			field("trusted_image_certificates", "['a', 'a']", "['a', 'a'] has non-unique elements")),
		post("one hostname for two", "2.90", create(w, `"networks": "none", "hostname": "web", "max_count": 2`), 400, bad,
			"Unable to allocate a single hostname to multiple instances"),
		post("hostname with a dot at 2.90", "2.90", create(w, `"networks": "none", "hostname": "web.example"`), 400, bad,
			"Invalid input for field/attribute hostname. Value: web.example. 'web.example' does not match…"),
		post("personality is no base64", "2.56", create(w, `"networks": "none", "personality": [{"path": "/etc/motd", "contents": "%%%"}]`), 400, bad,
			field("contents", "%%%", "'%%%' is not a 'base64'")),
		post("personality has a long path", "", create(w, `"personality": [{"path": "/`+strings.Repeat("a", 255)+`", "contents": ""}]`), 403, forbidden,
			"Personality file path exceeds maximum 255"),
		post("personality has large contents", "", create(w, `"personality": [{"path": "/a", "contents": "`+strings.Repeat("AAAA", 3414)+`"}]`), 403, forbidden,
			"Personality file content exceeds maximum 10240"),
		post("personality has too many files", "", create(w, `"personality": [`+strings.Repeat(`{"path": "/a", "contents": ""}, `, 5)+`{"path": "/b", "contents": ""}]`),
			403, forbidden, "Personality file limit exceeded"),
		post("personality after its time", "2.57", create(w, `"networks": "none", "personality": []`), 400, bad, "Invalid input for field/attribute server. Value: {…"),
		post("unknown server group", "", group+`{"group": "`+nowhere+`"}}`, 400, bad, "Instance group "+nowhere+" could not be found."),
		post("hint of a wrong type", "", group+`{"build_near_host_ip": 5}}`, 400, bad, "Invalid input for field/attribute build_near_host_ip. Value: 5. 5 is not…"),
		post("disk config", "", create(w, `"OS-DCF:diskConfig": "SOMETIMES"`), 400, bad, field("OS-DCF:diskConfig", "SOMETIMES",
			"'SOMETIMES' is not one of ['AUTO', 'MANUAL']")),
		post("access address", "", create(w, `"accessIPv4": "1.2.3.400"`), 400, bad, field("accessIPv4", "1.2.3.400", "'1.2.3.400' is not a 'ipv4'")),
	}
}

// creationPlaces are instances that are refused for where they shall be and what shall be connected to them.
func creationPlaces(w World) []BadRequest {
	asAdmin := func(b BadRequest) BadRequest { b.As = Admin; return b }
	none := `"networks": "none", `
	v2 := func(device string) string { return create(w, `"block_device_mapping_v2": [{`+device+`}]`) }
	image := `"source_type": "image", "uuid": "` + w.Image + `", `
	return []BadRequest{
		post("unknown zone", "", create(w, `"availability_zone": "nosuch"`), 400, bad, "The requested availability zone is not available"),
		post("zone:host as user", "", create(w, `"availability_zone": "nova:`+w.Name+`"`), 403, forbidden, policy("os_compute_api:servers:create:forced_host")),
		asAdmin(post("zone with too many parts", "", create(w, `"availability_zone": "a:b:c:d"`), 400, bad, "Invalid input received: Unable to parse availability_zone")),
		post("host as user", "2.74", create(w, none+`"host": "`+w.Name+`"`), 403, forbidden, policy("compute:servers:create:requested_destination")),
		post("host before its time", "2.73", create(w, none+`"host": "`+w.Name+`"`), 400, bad, "Invalid input for field/attribute server. Value: {…"),
		asAdmin(post("unknown host", "2.74", create(w, none+`"host": "nosuch"`), 400, bad, "Compute host nosuch could not be found.")),
		asAdmin(post("unknown hypervisor", "2.74", create(w, none+`"hypervisor_hostname": "nosuch"`), 400, bad, "Compute host nosuch could not be found.")),
		asAdmin(post("two ways to name a host", "2.74", create(w, none+`"host": "`+w.Name+`", "availability_zone": "nova:`+w.Name+`"`), 400, bad,
			"One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are mutually exclusive.")),
		post("no networks at 2.37", "2.37", create(w, ""), 400, bad, "Invalid input for field/attribute server. Value: {…"),
		post("networks is another word", "2.37", create(w, `"networks": "maybe"`), 400, bad, field("networks", "maybe",
			"'maybe' is not valid under any of the given schemas")),
		post("a network", "2.37", create(w, `"networks": [{"uuid": "`+nowhere+`"}]`), 400, bad, "Network "+nowhere+" could not be found. This cloud has no network service…"),
		post("a port", "", create(w, `"networks": [{"port": "`+nowhere+`"}]`), 400, bad, "Port id "+nowhere+" could not be found. This cloud has no network service…"),
		post("a port twice", "", create(w, `"networks": [{"port": "`+nowhere+`"}, {"port": "`+nowhere+`"}]`), 400, bad,
			"Port ID '"+nowhere+"' was specified twice: you cannot attach a port multiple times."),
		post("a network without id", "", create(w, `"networks": [{}]`), 400, bad, "Bad network format: missing 'uuid'"),
		post("network id is no UUID", "2.36", create(w, `"networks": [{"uuid": "net"}]`), 400, bad, "Bad networks format: network uuid is not in proper format (net)"),
		post("legacy volume", "", create(w, `"block_device_mapping": [{"device_name": "vda", "volume_id": "`+nowhere+`"}]`), 400, bad,
			"Block Device Mapping is Invalid: this cloud has no volume service…"),
		post("volume", "", v2(`"source_type": "volume", "uuid": "`+nowhere+`", "destination_type": "volume", "boot_index": 0`), 400, bad,
			"Block Device Mapping is Invalid: this cloud has no volume service…"),
		post("image to volume", "", v2(image+`"destination_type": "volume", "boot_index": 0, "volume_size": 1`), 400, bad,
			"Block Device Mapping is Invalid: this cloud has no volume service…"),
		post("image to a second local disk", "", v2(image+`"destination_type": "local", "boot_index": 1`), 400, bad,
			"Block Device Mapping is Invalid: Mapping image to local is not supported."),
		post("device without source", "", v2(`"source_type": "volume", "destination_type": "volume"`), 400, bad, "Block Device Mapping is Invalid: Missing device UUID."),
		post("both block device syntaxes", "", create(w, `"block_device_mapping": [{}], "block_device_mapping_v2": [{}]`), 400, bad,
			"Using different block_device_mapping syntaxes is not allowed in the same request."),
		post("device tag at 2.33", "2.33", v2(image+`"destination_type": "local", "boot_index": 0, "tag": "a"`), 400, bad, "Invalid input for field/attribute 0. Value: {…"),
	}
}
