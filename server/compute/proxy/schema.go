package proxy

import "github.com/kilonova-cloud/kilonova/server/compute/base"

const (
	metaKeys  = `^[a-zA-Z0-9-_:. ]{1,255}$`
	positive  = `{"type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": 1, "minLength": 1}`
	groupBody = `{"type": "object", "required": ["security_group"], "properties": {
		"security_group": {"type": "object", "required": ["name", "description"], "properties": {"name": @text255, "description": @text255}}}}`
)

var (
	// anyQuery lets everything through, at every microversion.
	anyQuery = base.Schema(`{"type": "object", "additionalProperties": true}`)

	imageListQuery = base.Schema(`{"type": "object", "additionalProperties": true, "properties": {
		"name": @any, "status": @any, "changes-since": @any, "server": @any, "type": @any, "minRam": @any, "minDisk": @any, "marker": @any,
		"limit": ` + positive + `, "page_size": ` + positive + `, "offset": ` + positive + `}, "patternProperties": {"^property-.*$": @any}}`)

	metadataSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["metadata"], "properties": {
		"metadata": {"type": "object", "additionalProperties": false, "patternProperties": {"` + metaKeys + `": @text255}}}}`)

	metaSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["meta"], "properties": {
		"meta": {"type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1, "patternProperties": {"` + metaKeys + `": @text255}}}}`)

	pageQuery = base.Schema(`{"type": "object", "additionalProperties": true, "properties": {"limit": @limit, "offset": @limit}}`)

	volumeCreateSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["volume"], "properties": {
		"volume": {"type": "object", "additionalProperties": false, "required": ["size"], "properties": {
			"volume_type": @text, "metadata": {"type": "object"}, "snapshot_id": @text, "availability_zone": @text, "display_name": @text,
			"display_description": @text, "size": {"type": ["integer", "string"], "pattern": "^[0-9]+$", "minimum": 1}}}}}`)

	snapshotCreateSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["snapshot"], "properties": {
		"snapshot": {"type": "object", "additionalProperties": false, "required": ["volume_id"], "properties": {
			"volume_id": @text, "force": @bool, "display_name": @text, "display_description": @text}}}}`)

	floatingIPCreateSchema = base.Schema(`{"type": ["object", "null"], "properties": {"pool": {"type": ["string", "null"]}}}`)

	securityGroupListQuery = base.Schema(`{"type": "object", "additionalProperties": true, "properties": {
		"limit": @limit, "offset": @limit, "all_tenants": @text}}`)

	securityGroupSchema = base.Schema(groupBody)

	securityGroupRuleSchema = base.Schema(`{"type": "object", "required": ["security_group_rule"], "properties": {
		"security_group_rule": {"type": "object", "required": ["parent_group_id"], "properties": {
			"group_id": {"type": ["string", "null"], "format": "uuid"}, "parent_group_id": @uuid,
			"to_port": @any, "from_port": @any, "ip_protocol": @any, "cidr": @any}}}}`)
)
